package org.edgekit.core

/** The artifact formats. */
enum class Format { PTE, ONNX }

/** Element types of tensors, with their size and their name in numpy's files. */
enum class DType(val bytes: Int, val numpy: String) {
    FLOAT32(4, "<f4"), FLOAT16(2, "<f2"), INT64(8, "<i8"), INT32(4, "<i4"), UINT8(1, "|u1"), INT8(1, "|i1"), BOOL(1, "|b1")
}

/** A size, or the name of one that may differ from call to call. */
data class Dimension(val size: Int?, val name: String?) {
    override fun toString() = name ?: size.toString()
}

/** A named input or output. */
data class TensorSpec(val name: String, val dtype: DType, val shape: List<Dimension>, val meaning: String) {
    /** Whether a tensor can be this one. */
    fun fits(tensor: Tensor) = tensor.dtype == dtype && tensor.shape.size == shape.size &&
        shape.zip(tensor.shape.toList()).all { (wanted, found) -> wanted.size == null || wanted.size == found }

    /** Type and shape in words. */
    val words get() = "${dtype.name.lowercase()} ${shape.joinToString("x")}"
}

/**
 * The size that pictures are brought to, and how.
 *
 * @property shorter for the mode `shorter`: the length of the shorter side before the centre is cut out
 * @property pad the grey level around a picture that is smaller
 * @property antialias whether the filter widens where a picture becomes smaller
 */
data class Resize(
    val height: Int,
    val width: Int,
    val mode: String,
    val filter: String,
    val shorter: Int = 1,
    val pad: Int = 0,
    val antialias: Boolean = true,
)

/** How a picture becomes an input: the steps of `preprocessing` in the manifest. */
data class Preprocessing(
    val color: String,
    val background: Int,
    val resize: Resize,
    val scale: Double,
    val mean: List<Double>,
    val std: List<Double>,
    val layout: String,
    val inGraph: Boolean = false,
) {
    val channels get() = if (color == "grey") 1 else 3
}

/** A file that was compiled for one system on a chip ahead of time, beside its artifact. */
data class Compiled(val file: String, val sha256: String, val soc: String)

/** One file that a runtime loads. */
data class Artifact(
    val format: Format,
    val file: String,
    val sha256: String,
    val bytes: Long,
    val quantization: String,
    val minimumRuntime: String,
    val operators: List<String>,
    val delegates: List<String>,
    val compiled: List<Compiled> = emptyList(),
) {
    /** What the runtime must carry, in words. */
    val needs get() = (listOf(minimumRuntime) + delegates + operators).joinToString()
}

/** One raw little-endian file; of an output also whose values these are (null: the float reference's) and how near. */
data class GoldenTensor(
    val name: String,
    val file: String,
    val sha256: String,
    val dtype: DType,
    val shape: List<Int>,
    val artifact: String? = null,
    val maxAbsError: Double = 0.0,
)

/** One input with the outputs to expect. */
data class Golden(val label: Long?, val inputs: List<GoldenTensor>, val outputs: List<GoldenTensor>)

/** Limits by leg ("device", "total"), each by the SDK's name of the limit. */
data class Budget(
    val legs: Map<String, Map<String, Double>>,
    /** Those of single outputs, by name. */
    val outputs: Map<String, Map<String, Map<String, Double>>> = emptyMap(),
) {
    /** The limits of an output in a leg: its own go before those for all outputs. */
    fun limits(leg: String, output: String) = legs.getValue(leg) + outputs[output]?.get(leg).orEmpty()
}

/** `manifest.json`: all that an app needs to load, feed, read and check the artifacts of a bundle. */
data class Manifest(
    val modelName: String,
    val weightsSha256: String,
    val target: String,
    val cpu: String,
    val artifacts: List<Artifact>,
    val inputs: List<TensorSpec>,
    val outputs: List<TensorSpec>,
    val preprocessing: Preprocessing?,
    val labels: List<String>,
    val golden: List<Golden>,
    val budget: Budget,
    val audio: Audio? = null,
    val text: Tokenizer? = null,
    /** The chip that the artifacts are for, and what its compiler was told. */
    val chip: String = Entry.CPU,
    val chipOptions: Map<String, String> = emptyMap(),
    /** The largest size of each dimension that may vary. */
    val dimensions: Map<String, Int> = emptyMap(),
) {
    /** The output that holds a classifier's logits, if there is one. */
    val logits get() = outputs.firstOrNull { it.meaning == "logits" }

    companion object {
        private const val VERSION = 1L

        // As in the SDK: what a model takes is no larger, and what is would not fit into a phone.
        private const val MOST_PIXELS = 1L shl 25
        private const val MOST_OVERHANG = 8L
        private const val MOST_NUMBERS = 1L shl 31
        private val SHA256 = Regex("[0-9a-f]{64}")
        private val NAME = Regex("[A-Za-z0-9][A-Za-z0-9._-]*")
        private val IDENTIFIER = Regex("[A-Za-z_][A-Za-z0-9_]*")

        // No part begins with a dot: a bundle names nothing outside its folder.
        private val PATH = Regex("[A-Za-z0-9][A-Za-z0-9._-]*(/[A-Za-z0-9][A-Za-z0-9._-]*)*")

        /**
         * Reads the text of a manifest. Keys that this app does not know are left alone: what an app must understand
         * changes the schema version.
         */
        fun parse(text: String, file: String = "manifest.json"): Manifest {
            val root = try {
                Node.of(text)
            } catch (fault: Fault) {
                throw Failure(Code.NOT_A_MANIFEST, "file" to file, "reason" to fault.reason, cause = fault)
            }
            val version = try {
                root.opt("schema_version")?.long()
            } catch (_: Fault) {
                null
            }
            if (version != VERSION) {
                throw Failure(Code.MANIFEST_VERSION, "file" to file, "found" to (version ?: "none"), "expected" to VERSION)
            }
            return try {
                manifest(root)
            } catch (fault: Fault) {
                val (place, reason) = fault.place to fault.reason
                throw Failure(Code.MANIFEST_SCHEMA, "file" to file, "place" to place, "reason" to reason, cause = fault)
            }
        }

        private fun manifest(root: Node) = Manifest(
            modelName = root["model"]["name"].text(NAME),
            weightsSha256 = root["model"]["weights_sha256"].text(SHA256),
            target = root["target"]["name"].text(NAME),
            cpu = root["target"]["cpu"].text(),
            artifacts = root["artifacts"].items().map(::artifact)
                .ifEmpty { root["artifacts"].faulty("must name at least one artifact") },
            inputs = root["inputs"].items().map(::tensorSpec),
            outputs = root["outputs"].items().map(::tensorSpec),
            preprocessing = root.opt("preprocessing")?.let(::preprocessing),
            audio = root.opt("audio")?.let { Audio.of(it) },
            text = root.opt("text")?.let(::tokenizer),
            // Bundles of old say nothing of chips: they are for CPUs.
            chip = root["target"].opt("chip")?.text(NAME) ?: Entry.CPU,
            chipOptions = root["target"].opt("chip_options")?.entries().orEmpty().associate { (name, value) -> name to value.text() },
            dimensions = root.opt("dimensions")?.entries().orEmpty().associate { (name, size) -> name to size.int(1..Int.MAX_VALUE) },
            labels = root["labels"].items().map { it.text() },
            golden = root["golden"].items().map(::golden),
            // Older bundles have no leg of their own for the device, and no limits of single outputs.
            budget = Budget(
                legs = legs(root["budget"]),
                outputs = root["budget"].opt("outputs")?.entries().orEmpty().associate { (name, own) -> name to legs(own) },
            ),
        )

        private fun legs(node: Node) = listOf("device", "total").associateWith { node.opt(it)?.let(::limits).orEmpty() }

        private fun tokenizer(node: Node) = Tokenizer(
            file = node["file"].text(PATH),
            sha256 = node["sha256"].text(SHA256),
            length = node["length"].int(1..Int.MAX_VALUE),
            inputs = node["inputs"].entries().associate { (name, part) ->
                name to part.oneOf(listOf("ids", "attention_mask", "type_ids"))
            },
        )

        private fun artifact(node: Node) = Artifact(
            format = Format.valueOf(node["format"].oneOf(Format.entries.map { it.name.lowercase() }).uppercase()),
            file = node["file"].text(PATH),
            sha256 = node["sha256"].text(SHA256),
            bytes = node["bytes"].long(),
            quantization = node["quantization"].text(),
            minimumRuntime = node["minimum_runtime"].text(),
            operators = node["operators"].items().map { it.text() },
            delegates = node["delegates"].items().map { it.text() },
            compiled = node.opt("on_chip")?.opt("compiled")?.items().orEmpty().map(::compiled),
        )

        private fun compiled(node: Node) =
            Compiled(file = node["file"].text(PATH), sha256 = node["sha256"].text(SHA256), soc = node["soc"].text())

        private fun tensorSpec(node: Node) = TensorSpec(
            name = node["name"].text(IDENTIFIER),
            dtype = dtype(node["dtype"]),
            shape = node["shape"].items().map {
                if (it.isText) Dimension(null, it.text(IDENTIFIER)) else Dimension(it.int(1..Int.MAX_VALUE), null)
            },
            meaning = node["meaning"].text(),
        )

        private fun dtype(node: Node) = DType.valueOf(node.oneOf(DType.entries.map { it.name.lowercase() }).uppercase())

        internal fun preprocessing(node: Node): Preprocessing {
            val read = Preprocessing(
                color = node["color"].oneOf(listOf("grey", "rgb", "bgr")),
                background = node["background"].int(0..255),
                resize = Resize(
                    height = node["resize"]["height"].int(1..Int.MAX_VALUE),
                    width = node["resize"]["width"].int(1..Int.MAX_VALUE),
                    mode = node["resize"]["mode"].oneOf(listOf("stretch", "cover", "shorter", "letterbox")),
                    filter = node["resize"]["filter"].oneOf(listOf("nearest", "bilinear", "bicubic")),
                    // Bundles of old have none of these.
                    shorter = node["resize"].opt("shorter")?.int(1..Int.MAX_VALUE) ?: 1,
                    pad = node["resize"].opt("pad")?.int(0..255) ?: 0,
                    antialias = node["resize"].opt("antialias")?.boolean() ?: true,
                ),
                scale = node["scale"].double(),
                mean = node["mean"].items().map { it.double() },
                std = node["std"].items().map { item ->
                    item.double().takeIf { it > 0 } ?: item.faulty("must be greater than 0")
                },
                layout = node["layout"].oneOf(listOf("NCHW", "NHWC")),
                inGraph = node.opt("in_graph")?.boolean() ?: false,
            )
            val size = read.resize
            if (size.height.toLong() * size.width > MOST_PIXELS) node["resize"].faulty("has more than $MOST_PIXELS pixels")
            if (size.shorter.toLong() > MOST_OVERHANG * maxOf(size.height, size.width)) {
                node["resize"]["shorter"].faulty("is over $MOST_OVERHANG times the size of the input")
            }
            if (read.resize.mode == "shorter") node["resize"]["shorter"].int(1..Int.MAX_VALUE)
            for ((key, values) in listOf("mean" to read.mean, "std" to read.std)) {
                if (values.size != 1 && values.size != read.channels) {
                    node[key].faulty("has ${values.size} values for ${read.channels} channel(s)")
                }
            }
            return read
        }

        private fun golden(node: Node) = Golden(
            label = node.opt("label")?.long(),
            inputs = node["inputs"].items().map { goldenTensor(it) },
            outputs = node["outputs"].items().map {
                goldenTensor(it).copy(artifact = it.opt("artifact")?.text(), maxAbsError = it["max_abs_error"].double())
            },
        )

        private fun goldenTensor(node: Node) = GoldenTensor(
            name = node["name"].text(IDENTIFIER),
            file = node["file"].text(PATH),
            sha256 = node["sha256"].text(SHA256),
            dtype = dtype(node["dtype"]),
            shape = node["shape"].items().map { it.int(0..Int.MAX_VALUE) }.also { sizes ->
                sizes.fold(1L) { product, size ->
                    (product * size).takeIf { it < MOST_NUMBERS } ?: node["shape"].faulty("has more than $MOST_NUMBERS numbers")
                }
            },
        )

        /** The limits of a leg by name; the project's own, under `custom`, as the SDK names them: min_NAME, max_NAME. */
        internal fun limits(node: Node): Map<String, Double> = buildMap {
            for ((key, value) in node.entries()) {
                if (key != "custom") node.opt(key)?.let { put(key, it.double()) }
                else for ((name, ends) in value.entries()) {
                    for (end in listOf("min", "max")) ends.opt(end)?.let { put("${end}_$name", it.double()) }
                }
            }
        }
    }
}
