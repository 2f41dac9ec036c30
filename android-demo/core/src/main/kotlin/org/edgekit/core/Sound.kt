package org.edgekit.core

import kotlin.math.PI
import kotlin.math.abs
import kotlin.math.ceil
import kotlin.math.cos
import kotlin.math.exp
import kotlin.math.ln
import kotlin.math.log10
import kotlin.math.max
import kotlin.math.min
import kotlin.math.pow
import kotlin.math.sin
import kotlin.math.sqrt

/**
 * From a recording to an input tensor, as the SDK does it: its modules `edgekit/data/sounds.py` and `features.py` say what
 * each step computes, and `tests/vectors/sounds` holds both to the same numbers.
 */
object Sound {
    // torchaudio's own choice: zero crossings on each side, and how far below the Nyquist frequency the filter ends.
    private const val CROSSINGS = 6
    private const val ROLLOFF = 0.99

    /**
     * The input that a recording becomes.
     *
     * @param samples the mean of the channels, from -1 to 1: 16-bit samples of a microphone are divided by 32768
     * @param rate their samples a second
     * @param spec the model's only input; the batch is one
     */
    fun tensor(samples: FloatArray, rate: Int, spec: TensorSpec, audio: Audio): Tensor {
        val fitted = resampled(samples, rate, audio.rate).copyOf(audio.length)
        val values = audio.features?.let { Spectrogram(it, audio.rate).of(fitted) } ?: fitted
        return Tensor.of(spec.name, IntArray(spec.shape.size) { if (it == 0) 1 else spec.shape[it].size!! }, values)
    }

    /** The input of the model of a bundle; throws a [Failure] where it takes no sound. */
    fun tensor(samples: FloatArray, rate: Int, manifest: Manifest): Tensor {
        val (audio, input) = manifest.audio to manifest.inputs.singleOrNull()
        val sizes = input?.shape.orEmpty().drop(1).map { it.size?.toLong() ?: 0L }
        if (audio == null || input == null || sizes.fold(1L, Long::times) != audio.size || input.dtype != DType.FLOAT32) {
            throw Failure(Code.NO_SOUND_INPUT, "model" to manifest.modelName)
        }
        return tensor(samples, rate, input, audio)
    }

    /** Samples at another rate, by a windowed sinc. */
    internal fun resampled(samples: FloatArray, from: Int, to: Int): FloatArray {
        if (from == to || samples.isEmpty()) return samples
        val common = gcd(from, to)
        val (own, wanted) = from / common to to / common
        val base = min(own, wanted) * ROLLOFF
        val width = ceil(CROSSINGS * own / base).toInt()
        val kernels = arrayOfNulls<DoubleArray>(wanted)
        return FloatArray(((samples.size.toLong() * wanted + own - 1) / own).toInt()) { j ->
            val (start, phase) = (j.toLong() / wanted * own).toInt() to j % wanted
            val kernel = kernels[phase] ?: DoubleArray(2 * width + own) {
                val t = ((it - width).toDouble() / own - phase.toDouble() / wanted) * base
                if (abs(t) >= CROSSINGS) 0.0 else sinc(t) * cos(t * PI / CROSSINGS / 2).pow(2) * (base / own)
            }.also { kernels[phase] = it }
            val place = phase.toLong() * own / wanted
            var sum = 0.0
            // What is further away than the width counts nothing.
            for (i in max(0, place.toInt() - 1)..min(2 * width + own - 1, place.toInt() + 2 * width + 1)) {
                val at = start - width + i
                if (at in samples.indices) sum += kernel[i] * samples[at]
            }
            sum.toFloat()
        }
    }

    private fun sinc(t: Double) = if (t == 0.0) 1.0 else sin(PI * t) / (PI * t)

    private tailrec fun gcd(a: Int, b: Int): Int = if (b == 0) a else gcd(b, a % b)
}

/** Frames, their power, mel bands, logarithm and cosines. */
internal class Spectrogram(private val spec: Features, rate: Int) {
    private val size = spec.fft
    private val bins = size / 2 + 1
    private val fourier = Fourier(size)
    private val window = DoubleArray(size).also { all ->
        val (width, a) = spec.window to spec.windowShape
        for (k in 0 until width) all[(size - width) / 2 + k] = a - (1 - a) * cos(2 * PI * k / width)
    }
    private val mel = spec.mels?.let { MelBank(spec, it, rate) }

    /** The features of a sound, in their layout. */
    fun of(samples: FloatArray): FloatArray {
        val (half, count) = (if (spec.center) size / 2 else 0) to spec.frames(samples.size)
        val frame = DoubleArray(size)
        val values = Array(count) { t ->
            for (k in 0 until size) frame[k] = window[k] * at(samples, t * spec.hop - half + k)
            val power = fourier.power(frame, bins)
            if (spec.power == 1) for (i in power.indices) power[i] = sqrt(power[i])
            mel?.of(power) ?: power
        }
        logarithm(values)
        return laid(spec.cosines?.let { n -> values.map { cosines(it, n) }.toTypedArray() } ?: values)
    }

    private fun at(samples: FloatArray, place: Int): Double {
        val end = samples.size
        if (place in 0 until end) return samples[place].toDouble()
        if (!spec.reflects) return 0.0
        return samples[if (place < 0) -place else 2 * end - 2 - place].toDouble()
    }

    private fun logarithm(values: Array<DoubleArray>) {
        if (spec.log == "none") return
        val factor = if (spec.log != "db") 1.0 else if (spec.power == 1) 20.0 else 10.0
        var most = Double.NEGATIVE_INFINITY
        for (row in values) for (i in row.indices) {
            val above = max(row[i], spec.floor) + spec.offset
            row[i] = factor * if (spec.log == "natural") ln(above) else log10(above)
            most = max(most, row[i])
        }
        spec.range?.let { range -> for (row in values) for (i in row.indices) row[i] = max(row[i], most - range) }
    }

    private val table by lazy {
        Array(spec.cosines!!) { c -> DoubleArray(spec.mels!!) { b -> cos(PI / spec.mels * (b + 0.5) * c) } }
    }

    private fun cosines(row: DoubleArray, count: Int) = DoubleArray(count) { c ->
        var sum = 0.0
        for (b in row.indices) sum += row[b] * table[c][b]
        sum * sqrt((if (c == 0) 1.0 else 2.0) / row.size)
    }

    private fun laid(values: Array<DoubleArray>): FloatArray {
        val (frames, bands) = values.size to spec.bands
        fun one(list: List<Double>, band: Int) = list[if (list.size == 1) 0 else band]
        return FloatArray(frames * bands) {
            val (t, b) = if (spec.layout == "TF") it / bands to it % bands else it % frames to it / frames
            ((values[t][b] - one(spec.mean, b)) / one(spec.std, b)).toFloat()
        }
    }
}

/** What each frequency counts in each mel band; most count nothing, and are left out. */
private class MelBank(private val spec: Features, count: Int, rate: Int) {
    private class Band(val first: Int, val weights: DoubleArray)

    private val bands: List<Band>

    init {
        val (low, high) = mel(spec.low) to mel(spec.high ?: (rate / 2.0))
        val places = DoubleArray(count + 2) { hertz(low + (high - low) * it / (count + 1)) }
        bands = List(count) { b ->
            val (left, middle, right) = Triple(places[b], places[b + 1], places[b + 2])
            val factor = if (spec.slaneyNorm) 2 / (right - left) else 1.0
            val all = DoubleArray(spec.fft / 2 + 1) {
                val f = it.toDouble() * rate / spec.fft
                factor * max(0.0, min((f - left) / (middle - left), (right - f) / (right - middle)))
            }
            val (first, last) = all.indexOfFirst { it > 0 } to all.indexOfLast { it > 0 }
            if (first < 0) Band(0, DoubleArray(0)) else Band(first, all.copyOfRange(first, last + 1))
        }
    }

    fun of(power: DoubleArray) = DoubleArray(bands.size) { b ->
        var sum = 0.0
        for (i in bands[b].weights.indices) sum += bands[b].weights[i] * power[bands[b].first + i]
        sum
    }

    private fun mel(hertz: Double) = when {
        !spec.slaneyScale -> 2595 * log10(1 + hertz / 700)
        hertz < 1000 -> 3 * hertz / 200
        else -> 15 + 27 * ln(hertz / 1000) / ln(6.4)
    }

    private fun hertz(mel: Double) = when {
        !spec.slaneyScale -> 700 * (10.0.pow(mel / 2595) - 1)
        mel < 15 -> 200 * mel / 3
        else -> 1000 * exp((mel - 15) * ln(6.4) / 27)
    }
}

/** The discrete Fourier transform of real numbers, of any size: split by its smallest factor, again and again. */
internal class Fourier(private val size: Int) {
    private val real = DoubleArray(size) { cos(2 * PI * it / size) }
    private val imaginary = DoubleArray(size) { -sin(2 * PI * it / size) }
    private val re = DoubleArray(size)
    private val im = DoubleArray(size)
    private val sumRe = DoubleArray(size)
    private val sumIm = DoubleArray(size)

    /** The squared magnitudes of the first frequencies. */
    fun power(values: DoubleArray, count: Int): DoubleArray {
        transform(values, 0, 1, size, 0)
        return DoubleArray(count) { re[it] * re[it] + im[it] * im[it] }
    }

    /** Transforms every so-manieth value from a place on, so many of them, to a place of the result. */
    private fun transform(values: DoubleArray, from: Int, step: Int, count: Int, to: Int) {
        if (count == 1) {
            re[to] = values[from]
            im[to] = 0.0
            return
        }
        val factor = (2..count).first { count % it == 0 || it.toLong() * it > count }.let { if (count % it == 0) it else count }
        val part = count / factor
        for (k in 0 until factor) transform(values, from + k * step, step * factor, part, to + k * part)
        for (j in 0 until count) {
            var x = 0.0
            var y = 0.0
            for (k in 0 until factor) {
                val turn = (k.toLong() * j * step % size).toInt()
                val at = to + k * part + j % part
                x += re[at] * real[turn] - im[at] * imaginary[turn]
                y += re[at] * imaginary[turn] + im[at] * real[turn]
            }
            sumRe[j] = x
            sumIm[j] = y
        }
        sumRe.copyInto(re, to, 0, count)
        sumIm.copyInto(im, to, 0, count)
    }
}
