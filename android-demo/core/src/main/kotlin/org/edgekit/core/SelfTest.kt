package org.edgekit.core

import java.io.File
import java.io.IOException
import kotlin.math.abs

/** How often and how long an artifact is timed. */
data class Timing(val warmUp: Int = 50, val runs: Int = 200, val seconds: Double = 20.0)

/** What an output's difference from its reference means. */
data class Leg(
    val leg: String,
    val output: String,
    val metrics: Metrics,
    /** The largest error as a share of what the bundle allows; null: infinite. */
    val worstShare: Double?,
    val within: Boolean,
    val limits: List<Judged>,
) {
    val passed get() = within && metrics.nonFinite == 0 && limits.none { it.result == LimitResult.BROKEN }
}

/** Latencies in milliseconds. */
data class Latency(val load: Double, val first: Double, val sorted: DoubleArray) {
    val median get() = percentile(sorted, 0.5)
    val p90 get() = percentile(sorted, 0.9)
    val p95 get() = percentile(sorted, 0.95)
    val p99 get() = percentile(sorted, 0.99)
}

/** Passed, failed, or not run for want of a runtime. */
enum class Status { PASSED, FAILED, SKIPPED }

/** What became of one artifact. */
data class Tested(
    val artifact: Artifact,
    val status: Status,
    val runtime: String? = null,
    val threads: Int? = null,
    val failure: Failure? = null,
    val reason: String? = failure?.says,
    val latency: Latency? = null,
    val legs: List<Leg> = emptyList(),
)

/** The self-test's outcome: a failure before any artifact was loaded, or the result of each. */
data class Outcome(val manifest: Manifest?, val failure: Failure?, val artifacts: List<Tested>) {
    val passed get() = failure == null && artifacts.none { it.status == Status.FAILED } &&
        artifacts.any { it.status == Status.PASSED }
}

/**
 * Does this phone compute what the host computed? Every golden input goes through every artifact that there is a
 * runtime for; what comes out is held against the host's run of the same artifact (the leg `device`) and against the
 * float reference (the leg `total`), as `edgekit compare` would.
 *
 * @param results the folder for `selftest.json` and the traces; what was in it is removed
 */
class SelfTest(
    private val runtimes: List<Runtime>,
    private val device: Device,
    private val results: File,
    private val timing: Timing = Timing(),
) {
    /** Runs everything and writes the results; failures are part of the outcome. Slow: not for the main thread. */
    fun run(open: () -> Bundle, progress: (String) -> Unit = {}): Outcome {
        var manifest: Manifest? = null
        val outcome = try {
            writing(results.name) {
                results.deleteRecursively()
                if (!results.mkdirs() && !results.isDirectory) throw IOException("the folder cannot be made")
            }
            progress("Checking the files")
            val bundle = open()
            manifest = bundle.manifest
            bundle.verify()
            val golden = Inputs(bundle)
            val tested = bundle.manifest.artifacts.map { test(bundle, it, golden, progress) }
            if (tested.all { it.status == Status.SKIPPED }) {
                throw Failure(Code.NOTHING_TO_RUN, "reason" to tested.joinToString(" ") { it.reason.orEmpty() })
            }
            Outcome(manifest, null, tested)
        } catch (failure: Failure) {
            Outcome(manifest, failure, emptyList())
        }
        try {
            // Written last and renamed: whoever waits for the file sees a whole one.
            val part = File(results, "selftest.json.part")
            part.writeText(outcome.toJson(device))
            if (!part.renameTo(File(results, "selftest.json"))) throw IOException("it cannot be renamed")
        } catch (error: IOException) {
            val failure = Failure(Code.CANNOT_WRITE, "file" to "selftest.json", "reason" to error.message.orEmpty(), cause = error)
            return outcome.copy(failure = outcome.failure ?: failure)
        }
        return outcome
    }

    /** The golden inputs with their labels, read and checked before anything is loaded. */
    private class Inputs(bundle: Bundle) {
        private val golden = bundle.manifest.golden.ifEmpty {
            throw Failure(Code.NOTHING_TO_RUN, "reason" to "the bundle has no golden inputs")
        }
        val rows: List<List<Tensor>> = golden.map { row ->
            bundle.manifest.inputs.map { spec -> bundle.read(row.inputs.first { it.name == spec.name }) }
        }
        val labels: LongArray? = golden.map { it.label }.takeIf { null !in it }?.filterNotNull()?.toLongArray()
        private val expected = golden.flatMapIndexed { i, row ->
            row.outputs.map { Triple(i, it.artifact, it.name) to (bundle.read(it) to it.maxAbsError) }
        }.toMap()

        /** What each row should give, with how far from it a right answer may be; null if the bundle does not say. */
        fun expected(artifact: String?, output: String): List<Pair<Tensor, Double>>? =
            rows.indices.map { expected[Triple(it, artifact, output)] ?: return null }
    }

    private fun test(bundle: Bundle, artifact: Artifact, golden: Inputs, progress: (String) -> Unit): Tested {
        progress("Loading ${artifact.file}")
        return try {
            val start = System.nanoTime()
            runtimes.open(bundle, artifact).use { runner ->
                val load = since(start)
                val firstStart = System.nanoTime()
                val outputs = mutableListOf(checked(bundle, artifact, runner.run(golden.rows[0])))
                val first = since(firstStart)
                progress("Running the golden inputs through ${artifact.file}")
                golden.rows.drop(1).mapTo(outputs) { checked(bundle, artifact, runner.run(it)) }
                trace(bundle, artifact, golden, outputs, runner)
                val legs = legs(bundle.manifest, artifact, golden, outputs)
                progress("Timing ${artifact.file}")
                val latency = Latency(load, first, timed(runner, golden.rows))
                val passed = legs.isNotEmpty() && legs.all { it.passed }
                Tested(
                    artifact = artifact,
                    status = if (passed) Status.PASSED else Status.FAILED,
                    runtime = runner.kernels,
                    threads = runner.threads,
                    reason = if (passed) null else reason(legs),
                    latency = latency,
                    legs = legs,
                )
            }
        } catch (failure: Failure) {
            val status = if (failure.code == Code.NO_RUNTIME) Status.SKIPPED else Status.FAILED
            Tested(artifact, status, failure = failure)
        } catch (error: RuntimeException) {
            // What a runtime throws that its documentation does not name: whoever waits for the result must get one.
            val failure = Failure(Code.RUN_FAILED, "file" to artifact.file, "reason" to error.toString(), cause = error)
            Tested(artifact, Status.FAILED, failure = failure)
        }
    }

    private fun checked(bundle: Bundle, artifact: Artifact, outputs: List<Tensor>): List<Tensor> {
        val specs = bundle.manifest.outputs
        for ((i, spec) in specs.withIndex()) {
            val found = outputs.getOrNull(i)
            if (found == null || !spec.fits(found)) {
                val words = found?.words ?: "nothing"
                throw Failure(Code.WRONG_OUTPUT, "file" to artifact.file, "found" to words, "output" to spec.name, "expected" to spec.words)
            }
        }
        return outputs
    }

    private fun trace(bundle: Bundle, artifact: Artifact, golden: Inputs, outputs: List<List<Tensor>>, runner: ModelRunner) {
        val runtime = runtimes.first { it.format == artifact.format }
        val origin = Trace.origin(bundle.manifest, artifact, device, runner.kernels, runtime.name to runtime.version)
        Trace.write(File(results, "${artifact.file.replace('/', '_')}.npz"), golden.rows, outputs, golden.labels, origin)
    }

    private fun legs(manifest: Manifest, artifact: Artifact, golden: Inputs, outputs: List<List<Tensor>>): List<Leg> =
        listOf("device" to artifact.file, "total" to null).flatMap { (leg, source) ->
            manifest.outputs.mapIndexedNotNull { i, spec ->
                val expected = golden.expected(source, spec.name) ?: return@mapIndexedNotNull null
                val host = if (source == null) golden.expected(artifact.file, spec.name)?.map { it.first } else null
                leg(manifest, leg, spec, expected, outputs.map { it[i] }, host, golden.labels)
            }
        }

    private fun leg(
        manifest: Manifest,
        leg: String,
        spec: TensorSpec,
        expected: List<Pair<Tensor, Double>>,
        found: List<Tensor>,
        host: List<Tensor>?,
        labels: LongArray?,
    ): Leg {
        val reference = together(expected.map { it.first })
        val shape = found[0].shape.copyOf().also { it[0] = found.sumOf { tensor -> tensor.shape[0] } }
        fun measure(values: List<Tensor>) = Metrics.measure(reference, together(values), shape, spec.meaning == "logits", labels)
        val metrics = measure(found)
        val shares = expected.zip(found).flatMap { (right, got) ->
            val (values, allowed) = right
            got.doubles().zip(values.doubles()).map { (a, b) -> share(abs(a - b), allowed) }
        }
        val worst = shares.max()
        val limits = Limits.judge(manifest.budget.limits(leg, spec.name), metrics.byName, host?.let { measure(it).byName })
        return Leg(leg, spec.name, metrics, worst.takeIf { it.isFinite() }, worst <= 1, limits)
    }

    private fun together(tensors: List<Tensor>): DoubleArray = tensors.flatMap { it.doubles().asIterable() }.toDoubleArray()

    /** An error as a share of what is allowed; a value that is not a number is infinitely wrong. */
    private fun share(error: Double, allowed: Double): Double = when {
        error.isNaN() -> Double.POSITIVE_INFINITY
        error == 0.0 -> 0.0
        else -> error / allowed
    }

    private fun timed(runner: ModelRunner, rows: List<List<Tensor>>): DoubleArray {
        val begin = System.nanoTime()
        fun late() = since(begin) > timing.seconds * 1000
        for (i in 0 until timing.warmUp) if (!late()) runner.run(rows[i % rows.size])
        val found = mutableListOf<Double>()
        // One run at least, however slow the model is.
        while (found.size < timing.runs && (found.isEmpty() || !late())) {
            val start = System.nanoTime()
            runner.run(rows[found.size % rows.size])
            found += since(start)
        }
        return found.toDoubleArray().also { it.sort() }
    }

    private fun since(start: Long) = (System.nanoTime() - start) / 1e6

    private fun reason(legs: List<Leg>): String {
        if (legs.isEmpty()) return "The bundle has no golden outputs of this artifact."
        val leg = legs.first { !it.passed }
        val against = if (leg.leg == "device") "the host's run of the same file" else "the float reference"
        val what = when {
            leg.metrics.nonFinite > 0 -> "${leg.metrics.nonFinite} values are not finite"
            !leg.within -> "values are further from $against than the bundle allows"
            else -> leg.limits.filter { it.result == LimitResult.BROKEN }.joinToString { it.limit } + " is broken"
        }
        return "Output ${leg.output}, leg ${leg.leg}: $what."
    }
}
