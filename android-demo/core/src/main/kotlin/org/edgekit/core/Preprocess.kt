package org.edgekit.core

import kotlin.math.abs
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
 * From a picture to an input tensor, to the bit as the SDK does it: its module `edgekit/data/preprocess.py` says what each
 * step computes, and `tests/vectors/preprocessing` holds both to the same numbers.
 */
object Preprocess {
    private const val PRECISION = 22
    private const val HALF = 1 shl (PRECISION - 1)

    /** The input that a picture becomes. */
    fun tensor(picture: Picture, name: String, spec: Preprocessing): Tensor {
        // Cut before the colours are converted, not after: that is the same, and less work.
        val cut = cropped(turned(picture), spec.resize)
        return normalized(resized(colored(cut, spec), spec.resize), name, spec)
    }

    /** The largest centred box of the wanted aspect: left, top, width, height. */
    fun cropBox(width: Int, height: Int, resize: Resize): IntArray {
        if (resize.mode == "stretch") return intArrayOf(0, 0, width, height)
        val (w, h) = width.toLong() to height.toLong()
        if (w * resize.height > h * resize.width) {
            val kept = max(1L, (2 * h * resize.width + resize.height) / (2 * resize.height)).toInt()
            return intArrayOf((width - kept) / 2, 0, kept, height)
        }
        val kept = max(1L, (2 * w * resize.height + resize.width) / (2 * resize.width)).toInt()
        return intArrayOf(0, (height - kept) / 2, width, kept)
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

    private fun cropped(p: Picture, resize: Resize): Picture {
        val (left, top, width, height) = cropBox(p.width, p.height, resize)
        if (width == p.width && height == p.height) return p
        return picture(width, height, p.channels) { x, y, c -> p.at(left + x, top + y, c) }
    }

    private fun resized(p: Picture, resize: Resize): Picture {
        val wide = if (p.width == resize.width) p else {
            val taps = taps(p.width, resize.width, resize.filter)
            picture(resize.width, p.height, p.channels) { x, y, c -> taps[x].of { p.at(it, y, c) } }
        }
        if (wide.height == resize.height) return wide
        val taps = taps(wide.height, resize.height, resize.filter)
        return picture(resize.width, resize.height, p.channels) { x, y, c -> taps[y].of { wide.at(x, it, c) } }
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

    private fun taps(size: Int, wanted: Int, filter: String): List<Taps> {
        val scale = size.toDouble() / wanted
        if (filter == "nearest") {
            var place = scale / 2
            // Added up from pixel to pixel: a product would round elsewhere.
            return List(wanted) { Taps(place.toInt(), IntArray(0)).also { place += scale } }
        }
        val stretch = max(scale, 1.0)
        val reach = stretch * if (filter == "bilinear") 1.0 else 2.0
        return List(wanted) { i ->
            val centre = (i + 0.5) * scale
            val first = max(centre - reach + 0.5, 0.0).toInt()
            val end = min(centre + reach + 0.5, size.toDouble()).toInt()
            val weights = DoubleArray(end - first) { weight(filter, (it + first - centre + 0.5) * (1.0 / stretch)) }
            var sum = 0.0
            for (weight in weights) sum += weight
            Taps(first, IntArray(weights.size) { fixed(if (sum == 0.0) weights[it] else weights[it] / sum) })
        }
    }

    private fun weight(filter: String, offset: Double): Double {
        val x = abs(offset)
        return when {
            filter == "bilinear" -> max(1.0 - x, 0.0)
            x < 1.0 -> (1.5 * x - 2.5) * x * x + 1
            x < 2.0 -> (((x - 5) * x + 8) * x - 4) * -0.5
            else -> 0.0
        }
    }

    /** A weight as an integer, rounded half away from zero. */
    private fun fixed(weight: Double): Int =
        (if (weight < 0) weight * (1 shl PRECISION) - 0.5 else weight * (1 shl PRECISION) + 0.5).toInt()

    /** Does the last steps: times scale, minus mean, divided by std, each rounded to float32. */
    private fun normalized(p: Picture, name: String, spec: Preprocessing): Tensor {
        val (width, height, channels) = Triple(p.width, p.height, p.channels)
        val scale = spec.scale.toFloat()
        val mean = FloatArray(channels) { spec.mean[if (spec.mean.size == 1) 0 else it].toFloat() }
        val std = FloatArray(channels) { spec.std[if (spec.std.size == 1) 0 else it].toFloat() }
        val values = FloatArray(width * height * channels)
        val first = spec.layout == "NCHW"
        for (c in 0 until channels) for (y in 0 until height) for (x in 0 until width) {
            val pixel = p.at(x, y, if (spec.color == "bgr") 2 - c else c)
            val place = if (first) (c * height + y) * width + x else (y * width + x) * channels + c
            values[place] = (pixel.toFloat() * scale - mean[c]) / std[c]
        }
        val shape = if (first) intArrayOf(1, channels, height, width) else intArrayOf(1, height, width, channels)
        return Tensor.of(name, shape, values)
    }

    /** The picture that an input was made of, as far as that can be undone; to show golden inputs to a person. */
    fun undone(tensor: Tensor, spec: Preprocessing): Picture {
        val values = tensor.floats()
        val first = spec.layout == "NCHW"
        val (height, width) = spec.resize.height to spec.resize.width
        return picture(width, height, spec.channels) { x, y, channel ->
            val c = if (spec.color == "bgr") 2 - channel else channel
            val place = if (first) (c * height + y) * width + x else (y * width + x) * spec.channels + c
            val (mean, std) = spec.mean[if (spec.mean.size == 1) 0 else c] to spec.std[if (spec.std.size == 1) 0 else c]
            Math.rint((values[place] * std + mean) / spec.scale).toInt().coerceIn(0, 255)
        }
    }

    private inline fun picture(width: Int, height: Int, channels: Int, pixel: (Int, Int, Int) -> Int): Picture {
        val bytes = ByteArray(width * height * channels)
        var i = 0
        for (y in 0 until height) for (x in 0 until width) for (c in 0 until channels) bytes[i++] = pixel(x, y, c).toByte()
        return Picture(width, height, channels, bytes)
    }
}
