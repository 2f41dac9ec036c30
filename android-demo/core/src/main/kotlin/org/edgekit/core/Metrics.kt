package org.edgekit.core

import kotlin.math.abs
import kotlin.math.exp
import kotlin.math.ln
import kotlin.math.log10
import kotlin.math.max
import kotlin.math.min
import kotlin.math.sqrt

/**
 * How far one output is from its reference, by the SDK's names and formulas (`edgekit/drift/metrics.py`), in double.
 *
 * Null: does not apply; of `sqnrDb`: infinite, for the two are identical.
 */
data class Metrics(
    val sqnrDb: Double?,
    val maxAbsError: Double,
    val meanAbsError: Double,
    val cosine: Double,
    val nonFinite: Int,
    val top1Agreement: Double? = null,
    val top5Agreement: Double? = null,
    val klDivergence: Double? = null,
    val accuracy: Double? = null,
    val referenceAccuracy: Double? = null,
) {
    /** The values by the SDK's names. */
    val byName: Map<String, Double?>
        get() = linkedMapOf(
            "sqnr_db" to sqnrDb,
            "max_abs_error" to maxAbsError,
            "mean_abs_error" to meanAbsError,
            "cosine" to cosine,
            "non_finite" to nonFinite.toDouble(),
            "top1_agreement" to top1Agreement,
            "top5_agreement" to top5Agreement,
            "kl_divergence" to klDivergence,
            "accuracy" to accuracy,
            "reference_accuracy" to referenceAccuracy,
        )

    companion object {
        // The least normal float32: a reference without signal is held against it, so that the ratio stays finite.
        private const val TINY = 1.1754943508222875e-38

        /**
         * Measures the difference of a candidate from a reference, over all samples together.
         *
         * @param shape of both, the samples first
         * @param logits whether the last axis holds unnormalised log probabilities of classes
         * @param labels true classes, one a sample, if known
         */
        fun measure(
            reference: DoubleArray,
            candidate: DoubleArray,
            shape: IntArray,
            logits: Boolean,
            labels: LongArray?,
        ): Metrics {
            require(reference.size == candidate.size && reference.isNotEmpty()) { "nothing to compare" }
            val (samples, width) = shape[0] to reference.size / shape[0]
            // What is not finite is left out of the numbers but for its count.
            val value = DoubleArray(candidate.size) { if (candidate[it].isFinite()) candidate[it] else reference[it] }
            val rows = List(samples) { Row(reference, value, candidate, it * width, width) }
            val (signal, noise) = rows.sumOf { it.signal } / samples to rows.sumOf { it.noise } / samples
            val plain = Metrics(
                sqnrDb = if (noise > 0) 10 * log10(max(signal, TINY) / noise) else null,
                maxAbsError = rows.maxOf { it.maxError },
                meanAbsError = rows.sumOf { it.meanError } / samples,
                cosine = rows.sumOf { it.cosine } / samples,
                nonFinite = candidate.count { !it.isFinite() },
            )
            if (!logits || shape.size != 2 || width < 2) return plain
            return plain.copy(
                top1Agreement = rows.sumOf { it.sharedTop(1) } / samples,
                top5Agreement = rows.sumOf { it.sharedTop(min(5, width)) } / samples,
                klDivergence = rows.sumOf { it.divergence } / samples,
                accuracy = labels?.let { rows.indices.count { i -> rows[i].right(it[i]) } / samples.toDouble() },
                referenceAccuracy = labels?.let { rows.indices.count { i -> rows[i].first == it[i].toInt() } / samples.toDouble() },
            )
        }
    }

    /** One sample. */
    private class Row(r: DoubleArray, c: DoubleArray, raw: DoubleArray, start: Int, private val width: Int) {
        private val reference = r.copyOfRange(start, start + width)
        private val candidate = c.copyOfRange(start, start + width)
        private val answered = (start until start + width).all { raw[it].isFinite() }
        private val errors = DoubleArray(width) { abs(reference[it] - candidate[it]) }

        val signal = reference.sumOf { it * it }
        val noise = errors.sumOf { it * it }
        val maxError = errors.max()
        val meanError = errors.sum() / width
        val first get() = top(reference, 1)[0]

        /** 1 for two equal ones, vectors of zeros too; 0 if only one of them is zero. */
        val cosine: Double
            get() {
                val lengths = sqrt(signal) * sqrt(candidate.sumOf { it * it })
                if (reference.contentEquals(candidate) || errors.all { it == 0.0 }) return 1.0
                return if (lengths > 0) (0 until width).sumOf { reference[it] * candidate[it] } / lengths else 0.0
            }

        /** The share of the reference's likeliest classes among the candidate's; an answer with a NaN shares none. */
        fun sharedTop(k: Int): Double {
            if (!answered) return 0.0
            val theirs = top(reference, k).toSet()
            return top(candidate, k).count { it in theirs } / k.toDouble()
        }

        fun right(label: Long) = answered && top(candidate, 1)[0].toLong() == label

        /** KL(softmax(reference) || softmax(candidate)) in nats, never below zero. */
        val divergence: Double
            get() {
                val (p, q) = logSoftmax(reference) to logSoftmax(candidate)
                return max(0.0, (0 until width).sumOf { exp(p[it]) * (p[it] - q[it]) })
            }

        /** The likeliest classes; ties go to the lower number. */
        private fun top(values: DoubleArray, k: Int): List<Int> {
            if (k == 1) return listOf(values.indices.maxBy { values[it] })
            return values.indices.sortedByDescending { values[it] }.take(k)
        }

        private fun logSoftmax(logits: DoubleArray): DoubleArray {
            val most = logits.max()
            val sum = ln(logits.sumOf { exp(it - most) })
            return DoubleArray(width) { logits[it] - most - sum }
        }
    }
}

/** A class as a person sees it. */
data class Ranked(val label: String, val probability: Double)

/** Softmax of logits in double, likeliest first, ties to the lower index; without labels the index is the label. */
fun classes(logits: DoubleArray, labels: List<String>): List<Ranked> {
    val most = logits.max()
    val powers = DoubleArray(logits.size) { exp(logits[it] - most) }
    val sum = powers.sum()
    return powers.indices.map { Ranked(labels.getOrElse(it, Int::toString), powers[it] / sum) }
        .sortedByDescending { it.probability }
}

/** A percentile of sorted values, with the linear interpolation that is numpy's default. */
fun percentile(sorted: DoubleArray, share: Double): Double {
    val place = share * (sorted.size - 1)
    val below = place.toInt()
    val above = min(below + 1, sorted.size - 1)
    return sorted[below] + (sorted[above] - sorted[below]) * (place - below)
}
