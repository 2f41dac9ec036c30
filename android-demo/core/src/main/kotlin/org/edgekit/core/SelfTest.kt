package org.edgekit.core

import java.io.File
import java.io.IOException

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
    /** The backend or execution provider that computed, and where the nodes ran; null: the runtime does not tell. */
    val provider: String? = null,
    val nodes: List<RunNode>? = null,
    val failure: Failure? = null,
    val reason: String? = failure?.says,
    val latency: Latency? = null,
    val legs: List<Leg> = emptyList(),
) {
    /** The nodes that another provider ran. */
    val elsewhere get() = nodes.orEmpty().filter { it.provider != provider }
}

/** The self-test's outcome: a failure before any artifact was loaded, or the result of each. */
data class Outcome(
    val manifest: Manifest?,
    val failure: Failure?,
    val artifacts: List<Tested>,
    /** Better bundles for this device that could not be taken. */
    val fellBack: List<FellBack> = emptyList(),
) {
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
    fun run(open: () -> Choice, progress: (String) -> Unit = {}): Outcome {
        var manifest: Manifest? = null
        var fellBack = emptyList<FellBack>()
        val outcome = try {
            writing(results.name) {
                results.deleteRecursively()
                if (!results.mkdirs() && !results.isDirectory) throw IOException("the folder cannot be made")
            }
            progress("Checking the files")
            val choice = open()
            val bundle = choice.bundle
            fellBack = choice.fellBack
            manifest = bundle.manifest
            bundle.verify()
            val golden = GoldenRows(bundle)
            val tested = bundle.manifest.artifacts.map { test(bundle, it, golden, progress) }
            if (tested.all { it.status == Status.SKIPPED }) {
                throw Failure(Code.NOTHING_TO_RUN, "reason" to tested.joinToString(" ") { it.reason.orEmpty() })
            }
            Outcome(manifest, null, tested, fellBack)
        } catch (failure: Failure) {
            Outcome(manifest, failure, emptyList(), fellBack)
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

    private fun test(bundle: Bundle, artifact: Artifact, golden: GoldenRows, progress: (String) -> Unit): Tested {
        progress("Loading ${artifact.file}")
        return try {
            val start = System.nanoTime()
            runtimes.open(bundle, artifact).use { runner ->
                val load = since(start)
                val firstStart = System.nanoTime()
                val outputs = mutableListOf(golden.run(artifact, runner, golden.inputs[0]))
                val first = since(firstStart)
                progress("Running the golden inputs through ${artifact.file}")
                golden.inputs.drop(1).mapTo(outputs) { golden.run(artifact, runner, it) }
                trace(bundle, artifact, golden, outputs, runner)
                val legs = golden.legs(artifact, outputs)
                progress("Timing ${artifact.file}")
                val latency = Latency(load, first, timed(runner, golden.inputs))
                val fault = golden.fault(legs)
                Tested(
                    artifact = artifact,
                    status = if (fault == null) Status.PASSED else Status.FAILED,
                    runtime = runner.kernels,
                    threads = runner.threads,
                    provider = runner.provider,
                    nodes = runner.placement(golden.inputs[0]),
                    reason = fault,
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

    private fun trace(bundle: Bundle, artifact: Artifact, golden: GoldenRows, outputs: List<List<Tensor>>, runner: ModelRunner) {
        val versions = listOfNotNull(runtimes.of(bundle, artifact)).map { it.name to it.version }
        val origin = Trace.origin(bundle.manifest, artifact, device, runner, versions)
        Trace.write(File(results, "${artifact.file.replace('/', '_')}.npz"), golden.inputs, outputs, golden.labels, origin)
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
}
