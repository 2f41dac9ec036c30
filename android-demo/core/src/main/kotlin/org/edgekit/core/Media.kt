package org.edgekit.core

/**
 * A spectrogram: the steps of `audio.features` in the manifest.
 *
 * @property windowShape 0.5 of a Hann window, 0.54 of a Hamming window
 * @property reflects whether what is added at both ends is the sound backwards, not silence
 * @property range how far below the largest value nothing is, after the logarithm
 * @property cosines the number of MFCC
 */
data class Features(
    val fft: Int,
    val hop: Int,
    val window: Int,
    val windowShape: Double,
    val center: Boolean,
    val reflects: Boolean,
    val dropLast: Boolean,
    val power: Int,
    val mels: Int?,
    val low: Double,
    val high: Double?,
    val slaneyScale: Boolean,
    val slaneyNorm: Boolean,
    val log: String,
    val floor: Double,
    val offset: Double,
    val range: Double?,
    val cosines: Int?,
    val mean: List<Double>,
    val std: List<Double>,
    val layout: String,
) {
    /** Values of a frame. */
    val bands get() = cosines ?: mels ?: (fft / 2 + 1)

    /** Frames of so many samples. */
    fun frames(length: Int): Int {
        val padded = if (center) length + 2 * (fft / 2) else length
        return if (padded < fft) 0 else (padded - fft) / hop + 1 - (if (dropLast) 1 else 0)
    }
}

/**
 * How a text becomes the inputs: `text` in the manifest. The file is a `tokenizer.json` of Hugging Face's library
 * `tokenizers`, which an app brings along; this one hands over no texts.
 *
 * @property length texts are cut off, or padded, to so many tokens
 * @property inputs what each input is of that which the tokenizer gives: `ids`, `attention_mask` or `type_ids`
 */
data class Tokenizer(val file: String, val sha256: String, val length: Int, val inputs: Map<String, String>)

/** How a sound becomes the input: the steps of `audio` in the manifest. */
data class Audio(val rate: Int, val length: Int, val features: Features?) {
    /** Numbers of the input. */
    val size: Long get() = features?.let { it.frames(length).toLong() * it.bands } ?: length.toLong()

    companion object {
        // As in the SDK: no model for phones takes more.
        private const val MOST_RATE = 1_000_000
        private const val MOST_SAMPLES = 1 shl 25
        private const val MOST_BINS = 1 shl 15
        private const val MOST_BANDS = 1 shl 10
        private const val MOST_FEATURES = 1L shl 25
        private const val MOST_FRAMED = 1L shl 30

        internal fun of(node: Node): Audio {
            val rate = within(node["rate"], 1..MOST_RATE)
            val features = node.opt("features")?.let { features(it) }
            val audio = Audio(rate, within(node["length"], 1..MOST_SAMPLES), features)
            features?.let { check(node, audio, it) }
            return audio
        }

        private fun features(node: Node): Features {
            val fft = within(node["n_fft"], 2..MOST_BINS)
            return Features(
                fft = fft,
                hop = node["hop_length"].int(1..Int.MAX_VALUE),
                window = node.opt("win_length")?.let { within(it, 1..fft) } ?: fft,
                windowShape = if (node["window"].oneOf(listOf("hann", "hamming")) == "hann") 0.5 else 0.54,
                center = node["center"].boolean(),
                reflects = node["pad_mode"].oneOf(listOf("reflect", "constant")) == "reflect",
                dropLast = node["drop_last"].boolean(),
                power = within(node["power"], 1..2),
                mels = node.opt("n_mels")?.let { within(it, 1..MOST_BANDS) },
                low = node["f_min"].double(),
                high = node.opt("f_max")?.double(),
                slaneyScale = node["mel_scale"].oneOf(listOf("htk", "slaney")) == "slaney",
                slaneyNorm = node["mel_norm"].oneOf(listOf("none", "slaney")) == "slaney",
                log = node["log"].oneOf(listOf("none", "natural", "log10", "db")),
                floor = positive(node["floor"]),
                offset = node["offset"].double(),
                range = node.opt("dynamic_range")?.let(::positive),
                cosines = node.opt("n_mfcc")?.let { within(it, 1..MOST_BANDS) },
                mean = node["mean"].items().map { it.double() },
                std = node["std"].items().map(::positive),
                layout = node["layout"].oneOf(listOf("FT", "TF")),
            )
        }

        /** What types alone do not say. */
        private fun check(node: Node, audio: Audio, features: Features) {
            val place = node["features"]
            val (frames, top) = features.frames(audio.length) to (features.high ?: (audio.rate / 2.0))
            if (frames < 1 || (features.center && features.reflects && audio.length <= features.fft / 2)) {
                node["length"].faulty("is too short for frames of ${features.fft}")
            }
            if (frames.toLong() * features.bands > MOST_FEATURES || frames.toLong() * features.fft > MOST_FRAMED) {
                node["length"].faulty("is more than a phone computes")
            }
            if (features.low < 0 || features.low >= top || top > audio.rate / 2.0) place["f_min"].faulty("is no frequency of bands")
            if (features.cosines != null && features.cosines > (features.mels ?: 0)) place["n_mfcc"].faulty("is over n_mels")
            for ((key, values) in listOf("mean" to features.mean, "std" to features.std)) {
                if (values.size != 1 && values.size != features.bands) {
                    place[key].faulty("has ${values.size} values for ${features.bands} band(s)")
                }
            }
        }

        private fun within(node: Node, range: IntRange) = node.int(1..Int.MAX_VALUE).takeIf { it in range }
            ?: node.faulty("must be within ${range.first} and ${range.last}")

        private fun positive(node: Node) = node.double().takeIf { it > 0 } ?: node.faulty("must be greater than 0")
    }
}
