package org.edgekit.demo

import android.content.Context
import android.graphics.Bitmap
import android.graphics.BitmapFactory
import android.media.ExifInterface
import android.net.Uri
import java.io.IOException
import java.nio.ByteBuffer
import org.edgekit.core.Code
import org.edgekit.core.Failure
import org.edgekit.core.Picture

/** Between Android's bitmaps and the core's pictures. */
object Pictures {
    // As bytes, as RGBA and turned, a picture is held three times over; larger ones are halved while they are decoded.
    private const val MOST_PIXELS = 12_000_000

    /** Reads a picture with its EXIF orientation, its pixels neither premultiplied nor scaled. */
    fun read(context: Context, uri: Uri): Picture {
        try {
            val bytes = context.contentResolver.openInputStream(uri)?.use { it.readBytes() } ?: throw IOException("it cannot be opened")
            val options = BitmapFactory.Options().apply { inJustDecodeBounds = true }
            BitmapFactory.decodeByteArray(bytes, 0, bytes.size, options)
            if (options.outWidth <= 0) throw IOException("it is of no format that this phone decodes")
            options.inSampleSize = 1
            while (options.outWidth.toLong() * options.outHeight / (options.inSampleSize * options.inSampleSize) > MOST_PIXELS) {
                options.inSampleSize *= 2
            }
            options.inJustDecodeBounds = false
            options.inPremultiplied = false
            options.inPreferredConfig = Bitmap.Config.ARGB_8888
            val bitmap = BitmapFactory.decodeByteArray(bytes, 0, bytes.size, options) ?: throw IOException("it is damaged")
            val orientation = ExifInterface(bytes.inputStream()).getAttributeInt(ExifInterface.TAG_ORIENTATION, 1)
            return of(bitmap, orientation)
        } catch (error: IOException) {
            throw Failure(Code.BAD_PICTURE, "reason" to error.message.orEmpty(), cause = error)
        } catch (error: SecurityException) {
            throw Failure(Code.BAD_PICTURE, "reason" to "this app may not open it", cause = error)
        } catch (error: OutOfMemoryError) {
            throw Failure(Code.BAD_PICTURE, "reason" to "it is too large for this phone", cause = error)
        }
    }

    /** The pixels of a bitmap, as RGBA. */
    fun of(bitmap: Bitmap, orientation: Int = 1): Picture {
        val bytes = ByteArray(bitmap.width * bitmap.height * 4)
        // ARGB_8888 lies in memory as R, G, B, A.
        val plain = if (bitmap.config == Bitmap.Config.ARGB_8888) bitmap else bitmap.copy(Bitmap.Config.ARGB_8888, false)
        plain.copyPixelsToBuffer(ByteBuffer.wrap(bytes))
        return Picture(bitmap.width, bitmap.height, 4, bytes, orientation)
    }

    /** A grey or RGB picture as a bitmap. */
    fun bitmap(picture: Picture): Bitmap {
        val colors = IntArray(picture.width * picture.height) { i ->
            fun channel(c: Int) = picture.bytes[i * picture.channels + minOf(c, picture.channels - 1)].toInt() and 0xff
            0xff shl 24 or (channel(0) shl 16) or (channel(1) shl 8) or channel(2)
        }
        return Bitmap.createBitmap(colors, picture.width, picture.height, Bitmap.Config.ARGB_8888)
    }
}
