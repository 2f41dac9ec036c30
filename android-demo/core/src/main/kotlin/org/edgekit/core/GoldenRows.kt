package org.edgekit.core

import kotlin.math.abs

/** A bundle's golden inputs and what each should give, read and checked before anything is loaded. */
internal class GoldenRows(bundle: Bundle) {
    private val manifest = bundle.manifest
    private val golden = manifest.golden.ifEmpty {
        throw Failure(Code.NOTHING_TO_RUN, "reason" to "the bundle has no golden inputs")
    }
    val inputs: List<List<Tensor>> = golden.map { row ->
        manifest.inputs.map { spec -> bundle.read(row.inputs.first { it.name == spec.name }) }
    }
    val labels: LongArray? = golden.map { it.label }.takeIf { null !in it }?.filterNotNull()?.toLongArray()
    private val expected = golden.flatMapIndexed { i, row ->
        row.outputs.map { Triple(i, it.artifact, it.name) to (bundle.read(it) to it.maxAbsError) }
    }.toMap()

    /** Runs all inputs. */
    fun run(artifact: Artifact, runner: ModelRunner): List<List<Tensor>> = inputs.map { run(artifact, runner, it) }

    /** Runs one of the inputs; outputs that are not the manifest's are a failure. */
    fun run(artifact: Artifact, runner: ModelRunner, row: List<Tensor>): List<Tensor> {
        val outputs = runner.run(row)
        for ((i, spec) in manifest.outputs.withIndex()) {
            val found = outputs.getOrNull(i)
            if (found == null || !spec.fits(found)) {
                val words = found?.words ?: "nothing"
                throw Failure(Code.WRONG_OUTPUT, "file" to artifact.file, "found" to words, "output" to spec.name, "expected" to spec.words)
            }
        }
        return outputs
    }

    /** What the outputs of all inputs are, against the host's run of the same artifact and against the float reference. */
    fun legs(artifact: Artifact, outputs: List<List<Tensor>>): List<Leg> =
        listOf("device" to artifact.file, "total" to null).flatMap { (leg, source) ->
            manifest.outputs.mapIndexedNotNull { i, spec ->
                val right = expected(source, spec.name) ?: return@mapIndexedNotNull null
                val host = if (source == null) expected(artifact.file, spec.name)?.map { it.first } else null
                leg(leg, spec, right, outputs.map { it[i] }, host)
            }
        }

    /** What is wrong with legs, in a sentence; null: nothing. */
    fun fault(legs: List<Leg>): String? {
        if (legs.isEmpty()) return "The bundle has no golden outputs of this artifact."
        val leg = legs.firstOrNull { !it.passed } ?: return null
        val against = if (leg.leg == "device") "the host's run of the same file" else "the float reference"
        val what = when {
            leg.metrics.nonFinite > 0 -> "${leg.metrics.nonFinite} values are not finite"
            !leg.within -> "values are further from $against than the bundle allows"
            else -> leg.limits.filter { it.result == LimitResult.BROKEN }.joinToString { it.limit } + " is broken"
        }
        return "Output ${leg.output}, leg ${leg.leg}: $what."
    }

    /** What each row should give, with how far from it a right answer may be; null if the bundle does not say. */
    private fun expected(artifact: String?, output: String): List<Pair<Tensor, Double>>? =
        inputs.indices.map { expected[Triple(it, artifact, output)] ?: return null }

    private fun leg(leg: String, spec: TensorSpec, expected: List<Pair<Tensor, Double>>, found: List<Tensor>, host: List<Tensor>?): Leg {
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
}
