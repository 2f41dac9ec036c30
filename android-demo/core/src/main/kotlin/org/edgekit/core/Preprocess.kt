package org.edgekit.core

import kotlin.math.abs
import kotlin.math.floor
import kotlin.math.max
import kotlin.math.min

/**
 * A decoded picture: bytes of (height, width, channels), 1 channel grey, 3 RGB, 4 RGBA that is not premultiplied.
 *
 * @property orientation what EXIF says: 1 is upright
 */
class Picture(val width: Int, val height: Int, val channels: Int, val bytes: ByteArray, val orientation: Int = 1) {
    init {
        require(channels == 1 || channels == 3 || channels == 4) { "$channels channels" }
        require(width > 0 && height > 0 && bytes.size == width * height * channels) { "${bytes.size} bytes" }
    }

    internal fun at(x: Int, y: Int, channel: Int): Int = bytes[(y * width + x) * channels + channel].toInt() and 0xff
}

/**
 * Where a picture comes to lie in an input: the part of it that is resized, to which size, and where that begins in the
 * input; below zero it is cut off. The SDK's module `edgekit/data/place.py` says how it is computed.
 */
internal class Place(
    val left: Int,
    val top: Int,
    val width: Int,
    val height: Int,
    val toWidth: Int,
    val toHeight: Int,
    val x: Int = 0,
    val y: Int = 0,
) {
    companion object {
        fun of(width: Int, height: Int, resize: Resize): Place = when (resize.mode) {
            "stretch" -> Place(0, 0, width, height, resize.width, resize.height)
            "cover" -> covered(width, height, resize)
            "shorter" -> {
                val least = min(width, height)
                centred(width, height, resize, scaled(resize.shorter, width, least), scaled(resize.shorter, height, least))
            }
            else -> {
                val ratio = min(resize.height.toDouble() / height, resize.width.toDouble() / width)
                val (toWidth, toHeight) = Math.rint(width * ratio).toInt() to Math.rint(height * ratio).toInt()
                centred(width, height, resize, max(1, toWidth), max(1, toHeight))
            }
        }

        /** The largest centred box of the wanted aspect. */
        private fun covered(width: Int, height: Int, resize: Resize): Place {
            val (w, h) = width.toLong() to height.toLong()
            if (w * resize.height > h * resize.width) {
                val kept = max(1L, (2 * h * resize.width + resize.height) / (2 * resize.height)).toInt()
                return Place((width - kept) / 2, 0, kept, height, resize.width, resize.height)
            }
            val kept = max(1L, (2 * w * resize.height + resize.width) / (2 * resize.width)).toInt()
            return Place(0, (height - kept) / 2, width, kept, resize.width, resize.height)
        }

        private fun centred(width: Int, height: Int, resize: Resize, toWidth: Int, toHeight: Int) =
            Place(0, 0, width, height, toWidth, toHeight, start(resize.width - toWidth), start(resize.height - toHeight))

        private fun scaled(shorter: Int, side: Int, least: Int): Int = Math.toIntExact(shorter.toLong() * side / least)

        /** Where what is centred begins, of so many free pixels; what is too much is halved, half to even. */
        private fun start(free: Int): Int = if (free >= 0) free / 2 else -Math.rint(-free / 2.0).toInt()
    }
}

/**
 * From a picture to an input tensor, to the bit as the SDK does it: its modules `edgekit/data/preprocess.py`, `place.py` and
 * `resample.py` say what each step computes, and `tests/vectors/preprocessing` holds both to the same numbers.
 */
object Preprocess {
    private const val PRECISION = 22
    private const val HALF = 1 shl (PRECISION - 1)

    /** The input that a picture becomes. */
    fun tensor(picture: Picture, name: String, spec: Preprocessing): Tensor {
        val upright = turned(picture)
        val place = Place.of(upright.width, upright.height, spec.resize)
        // Cut before the colours are converted, not after: that is the same, and less work.
        val part = resized(colored(cropped(upright, place), spec), place, spec.resize)
        return normalized(laid(part, place, spec.resize), name, spec)
    }

    /** Turns as EXIF says; where each pixel comes from is written down for the eight orientations. */
    private fun turned(p: Picture): Picture {
        if (p.orientation !in 2..8) return p
        val swapped = p.orientation >= 5
        val (width, height) = if (swapped) p.height to p.width else p.width to p.height
        return picture(width, height, p.channels) { x, y, c ->
            val (right, bottom) = p.width - 1 to p.height - 1
            when (p.orientation) {
                2 -> p.at(right - x, y, c)
                3 -> p.at(right - x, bottom - y, c)
                4 -> p.at(x, bottom - y, c)
                5 -> p.at(y, x, c)
                6 -> p.at(y, bottom - x, c)
                7 -> p.at(right - y, bottom - x, c)
                else -> p.at(right - y, x, c)
            }
        }
    }

    /** Lays transparent pixels over the background and gives the channels that the model takes, in RGB's order. */
    private fun colored(p: Picture, spec: Preprocessing): Picture = picture(p.width, p.height, spec.channels) { x, y, c ->
        if (spec.channels == 3) over(p, x, y, c, spec.background)
        else {
            val red = over(p, x, y, 0, spec.background)
            val green = over(p, x, y, 1, spec.background)
            val blue = over(p, x, y, 2, spec.background)
            (19595 * red + 38470 * green + 7471 * blue + 32768) shr 16
        }
    }

    private fun over(p: Picture, x: Int, y: Int, channel: Int, background: Int): Int {
        val value = p.at(x, y, if (p.channels == 1) 0 else channel)
        if (p.channels < 4) return value
        val alpha = p.at(x, y, 3)
        val t = (value * alpha + background * (255 - alpha) + 128) shl 7
        return (((t shr 8) + t) shr 8) shr 7
    }

    private fun cropped(p: Picture, place: Place): Picture {
        if (place.width == p.width && place.height == p.height) return p
        return picture(place.width, place.height, p.channels) { x, y, c -> p.at(place.left + x, place.top + y, c) }
    }

    /** Resizes, and computes only what lies inside of the input. */
    private fun resized(p: Picture, place: Place, resize: Resize): Picture {
        val columns = inside(place.x, place.toWidth, resize.width)
        val rows = inside(place.y, place.toHeight, resize.height)
        val wide = if (p.width == place.toWidth && columns == p.width.indices()) p else {
            val taps = taps(p.width, place.toWidth, columns, resize)
            picture(taps.size, p.height, p.channels) { x, y, c -> taps[x].of { p.at(it, y, c) } }
        }
        if (wide.height == place.toHeight && rows == wide.height.indices()) return wide
        val taps = taps(wide.height, place.toHeight, rows, resize)
        return picture(wide.width, taps.size, p.channels) { x, y, c -> taps[y].of { wide.at(x, it, c) } }
    }

    private fun Int.indices() = 0 until this

    /** Which pixels of a resized side lie inside of the input. */
    private fun inside(start: Int, size: Int, wanted: Int): IntRange = max(0, -start) until min(size, wanted - start)

    /** Lays a picture that is smaller than the input on its grey. */
    private fun laid(p: Picture, place: Place, resize: Resize): Picture {
        if (p.width == resize.width && p.height == resize.height) return p
        val (left, top) = max(0, place.x) to max(0, place.y)
        return picture(resize.width, resize.height, p.channels) { x, y, c ->
            if (x - left in 0 until p.width && y - top in 0 until p.height) p.at(x - left, y - top, c) else resize.pad
        }
    }

    /** Which pixels an output pixel is made of. No weights: the first pixel itself. */
    private class Taps(val first: Int, val weights: IntArray) {
        inline fun of(pixel: (Int) -> Int): Int {
            if (weights.isEmpty()) return pixel(first)
            var sum = HALF
            for (i in weights.indices) sum += weights[i] * pixel(first + i)
            return (sum shr PRECISION).coerceIn(0, 255)
        }
    }

    private fun taps(size: Int, wanted: Int, range: IntRange, resize: Resize): List<Taps> {
        val scale = size.toDouble() / wanted
        return when {
            size == wanted -> range.map { Taps(it, IntArray(0)) }
            resize.filter == "nearest" -> {
                var place = scale / 2
                // Added up from pixel to pixel: a product would round elsewhere.
                List(range.last + 1) { Taps(place.toInt(), IntArray(0)).also { place += scale } }.drop(range.first)
            }
            resize.antialias -> range.map { wide(it, scale, size, resize.filter) }
            else -> range.map { plain(it, scale, size, resize.filter) }
        }
    }

    /** The pixels under a filter that widens where a picture becomes smaller. */
    private fun wide(i: Int, scale: Double, size: Int, filter: String): Taps {
        val stretch = max(scale, 1.0)
        val reach = stretch * if (filter == "bilinear") 1.0 else 2.0
        val centre = (i + 0.5) * scale
        val first = max(centre - reach + 0.5, 0.0).toInt()
        val end = min(centre + reach + 0.5, size.toDouble()).toInt()
        val weights = DoubleArray(end - first) { weight(filter, (it + first - centre + 0.5) * (1.0 / stretch), -0.5) }
        var sum = 0.0
        for (weight in weights) sum += weight
        return Taps(first, IntArray(weights.size) { fixed(if (sum == 0.0) weights[it] else weights[it] / sum) })
    }

    /** The two or four pixels around a place, those beyond the edge as the one at the edge. */
    private fun plain(i: Int, scale: Double, size: Int, filter: String): Taps {
        val centre = (i + 0.5) * scale - 0.5
        val base = floor(centre)
        val around = if (filter == "bilinear") 0..1 else -1..2
        val first = (base.toInt() + around.first).coerceIn(0, size - 1)
        val last = (base.toInt() + around.last).coerceIn(0, size - 1)
        val weights = IntArray(last - first + 1)
        for (k in around) {
            val pixel = (base.toInt() + k).coerceIn(0, size - 1)
            weights[pixel - first] += fixed(weight(filter, k - (centre - base), -0.75))
        }
        return Taps(first, weights)
    }

    private fun weight(filter: String, offset: Double, a: Double): Double {
        val x = abs(offset)
        return when {
            filter == "bilinear" -> max(1.0 - x, 0.0)
            x < 1.0 -> ((a + 2) * x - (a + 3)) * x * x + 1
            x < 2.0 -> (((x - 5) * x + 8) * x - 4) * a
            else -> 0.0
        }
    }

    /** A weight as an integer, rounded half away from zero. */
    private fun fixed(weight: Double): Int =
        (if (weight < 0) weight * (1 shl PRECISION) - 0.5 else weight * (1 shl PRECISION) + 0.5).toInt()

    /** Does the last steps: times scale, minus mean, divided by std, each rounded to float32; or leaves them to the model. */
    private fun normalized(p: Picture, name: String, spec: Preprocessing): Tensor {
        val (width, height, channels) = Triple(p.width, p.height, p.channels)
        val first = spec.layout == "NCHW"
        val shape = if (first) intArrayOf(1, channels, height, width) else intArrayOf(1, height, width, channels)
        val scale = spec.scale.toFloat()
        val mean = FloatArray(channels) { spec.mean[if (spec.mean.size == 1) 0 else it].toFloat() }
        val std = FloatArray(channels) { spec.std[if (spec.std.size == 1) 0 else it].toFloat() }
        val bytes = ByteArray(if (spec.inGraph) width * height * channels else 0)
        val values = FloatArray(if (spec.inGraph) 0 else width * height * channels)
        for (c in 0 until channels) for (y in 0 until height) for (x in 0 until width) {
            val pixel = p.at(x, y, if (spec.color == "bgr") 2 - c else c)
            val place = if (first) (c * height + y) * width + x else (y * width + x) * channels + c
            if (spec.inGraph) bytes[place] = pixel.toByte()
            else values[place] = (pixel.toFloat() * scale - mean[c]) / std[c]
        }
        return if (spec.inGraph) Tensor(name, DType.UINT8, shape, bytes) else Tensor.of(name, shape, values)
    }

    /** The picture that an input was made of, as far as that can be undone; to show golden inputs to a person. */
    fun undone(tensor: Tensor, spec: Preprocessing): Picture {
        val values = tensor.doubles()
        val first = spec.layout == "NCHW"
        val (height, width) = spec.resize.height to spec.resize.width
        return picture(width, height, spec.channels) { x, y, channel ->
            val c = if (spec.color == "bgr") 2 - channel else channel
            val place = if (first) (c * height + y) * width + x else (y * width + x) * spec.channels + c
            val (mean, std) = spec.mean[if (spec.mean.size == 1) 0 else c] to spec.std[if (spec.std.size == 1) 0 else c]
            val value = if (spec.inGraph) values[place] else (values[place] * std + mean) / spec.scale
            Math.rint(value).toInt().coerceIn(0, 255)
        }
    }

    private inline fun picture(width: Int, height: Int, channels: Int, pixel: (Int, Int, Int) -> Int): Picture {
        val bytes = ByteArray(width * height * channels)
        var i = 0
        for (y in 0 until height) for (x in 0 until width) for (c in 0 until channels) bytes[i++] = pixel(x, y, c).toByte()
        return Picture(width, height, channels, bytes)
    }
}
