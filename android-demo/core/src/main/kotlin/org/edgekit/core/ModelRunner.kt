package org.edgekit.core

/** A runtime that is linked into the app. */
interface Runtime {
    /** The formats' files that it loads. */
    val format: Format

    /** The chips whose bundles' files it loads. */
    val chips: Set<String> get() = setOf(Entry.CPU)

    /** The name that `minimum_runtime` uses, "executorch" or "onnxruntime". */
    val name: String

    /** Its version, or null if the app does not know it. */
    val version: String?

    /** Loads an artifact of a bundle whose files were checked. Throws a [Failure] in words. */
    fun load(bundle: Bundle, artifact: Artifact): ModelRunner
}

/** A loaded artifact. Not for several threads at once. */
interface ModelRunner : AutoCloseable {
    /** The library whose kernels run, for the trace: "ONNX Runtime 1.29.0 CPU". */
    val kernels: String

    /** The backend or execution provider that computes, as the runtime names it. */
    val provider: String

    /** Threads that it computes with. */
    val threads: Int

    /** Runs the inputs, in the manifest's order, and returns the outputs in its order. */
    fun run(inputs: List<Tensor>): List<Tensor>

    /** Which provider runs each node for such inputs; null where the runtime does not tell. Slow. */
    fun placement(inputs: List<Tensor>): List<RunNode>? = null
}

/** The runtime that loads an artifact of a bundle, if this app has one. */
fun List<Runtime>.of(bundle: Bundle, artifact: Artifact): Runtime? =
    firstOrNull { it.format == artifact.format && bundle.manifest.chip in it.chips }

/** Opens an artifact: checks that there is a runtime and that it is new enough, then loads. */
fun List<Runtime>.open(bundle: Bundle, artifact: Artifact): ModelRunner {
    val runtime = of(bundle, artifact)
        ?: throw Failure(Code.NO_RUNTIME, "file" to artifact.file, "format" to artifact.format.name.lowercase())
    val version = runtime.version
    val needed = artifact.minimumRuntime.substringAfter(' ')
    if (version != null && older(version, needed)) {
        val found = "${runtime.name} $version"
        throw Failure(Code.RUNTIME_TOO_OLD, "file" to artifact.file, "needed" to artifact.minimumRuntime, "found" to found)
    }
    return runtime.load(bundle, artifact)
}

/** Whether a version is older than another; what follows the numbers (rc1, +cpu) does not count. */
internal fun older(version: String, needed: String): Boolean {
    fun numbers(text: String) = Regex("^\\d+(\\.\\d+)*").find(text)?.value.orEmpty().split('.').mapNotNull { it.toIntOrNull() }
    val (have, want) = numbers(version) to numbers(needed)
    for (i in 0 until maxOf(have.size, want.size)) {
        val difference = have.getOrElse(i) { 0 } - want.getOrElse(i) { 0 }
        if (difference != 0) return difference < 0
    }
    return false
}

/** An artifact that answers for pictures and sounds: preprocessing before, classes behind. */
class Predictor(private val manifest: Manifest, private val runner: ModelRunner) : AutoCloseable by runner {
    /** What the model says of one input. */
    class Answer(
        val input: Tensor,
        val outputs: List<Tensor>,
        val classes: List<Ranked>,
        val milliseconds: Double,
        /** What computed, see [ModelRunner.provider]. */
        val provider: String,
    )

    /** Runs a picture. */
    fun run(picture: Picture): Answer {
        val (spec, input) = manifest.preprocessing to manifest.inputs.singleOrNull()
        if (spec == null || input == null) throw Failure(Code.NO_PICTURE_INPUT, "model" to manifest.modelName)
        return run(listOf(Preprocess.tensor(picture, input.name, spec)))
    }

    /** Runs a sound: the mean of its channels, from -1 to 1, at so many samples a second. */
    fun run(samples: FloatArray, rate: Int): Answer = run(listOf(Sound.tensor(samples, rate, manifest)))

    /** Runs inputs that are tensors already. */
    fun run(inputs: List<Tensor>): Answer {
        val start = System.nanoTime()
        val outputs = runner.run(inputs)
        val milliseconds = (System.nanoTime() - start) / 1e6
        val logits = manifest.outputs.indexOf(manifest.logits)
        val ranked = if (logits < 0 || outputs[logits].shape.size != 2) emptyList()
        else classes(outputs[logits].doubles(), manifest.labels)
        return Answer(inputs[0], outputs, ranked, milliseconds, runner.provider)
    }
}
