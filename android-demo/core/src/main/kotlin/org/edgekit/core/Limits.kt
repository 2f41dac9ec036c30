package org.edgekit.core

import kotlin.math.abs
import kotlin.math.max

/** What became of a limit. */
enum class LimitResult { KEPT, BROKEN, NOT_JUDGED }

/** A limit held against a metric on the golden inputs. */
data class Judged(val limit: String, val metric: String, val value: Double?, val bound: Double, val result: LimitResult)

/** Limits are held against metrics as the SDK does it (`edgekit/spec/limits.py`, `edgekit/drift/gate.py`). */
object Limits {
    // In the order of the SDK's rules; null: this app does not compute the metric. The value is what it is for.
    private val RULES: Map<String, String> = listOf(
        "min_sqnr_db", "max_abs_error", "max_mean_abs_error", "min_cosine", "min_top1_agreement", "min_top5_agreement",
        "max_kl_divergence", "max_accuracy_drop", "min_accuracy_ratio", "min_pixel_agreement", "min_iou_agreement",
        "max_mean_iou_drop", "min_mean_iou_ratio", "min_map_agreement", "max_mean_ap_drop", "min_mean_ap_ratio",
        "min_neighbour_agreement", "min_r2_agreement", "max_r2_drop", "min_r2_ratio", "max_mae_ratio",
    ).associateWith { if (it == "max_abs_error") it else it.substring(4) }

    // Rounding of the arithmetic must not break a limit that is met exactly.
    private const val EXACT = 1e-12

    /**
     * Holds the metrics of one output against the limits of a leg.
     *
     * So few samples are the golden inputs that a limit may be broken on them by the artifact itself: where the host's
     * own outputs are known, only what they keep can be broken by this device.
     *
     * @param limits by name
     * @param device metrics by name: of what this device computed
     * @param host the same of what the host computed of the same inputs; null: every break is this device's
     */
    fun judge(limits: Map<String, Double>, device: Map<String, Double?>, host: Map<String, Double?>?): List<Judged> {
        val known = RULES.keys.filter { it in limits } + limits.keys.filter { it !in RULES }
        return known.map { name ->
            val (metric, bound) = (RULES[name] ?: name.substring(4)) to limits.getValue(name)
            val value = value(metric, device)
            val result = when {
                name !in RULES || value == null -> LimitResult.NOT_JUDGED
                !breaks(name, value, bound) -> LimitResult.KEPT
                host != null && value(metric, host)?.let { breaks(name, it, bound) } != false -> LimitResult.NOT_JUDGED
                else -> LimitResult.BROKEN
            }
            Judged(name, metric, value?.takeIf { it.isFinite() }, bound, result)
        }
    }

    private fun breaks(limit: String, value: Double, bound: Double): Boolean {
        val sign = if (limit.startsWith("min_")) 1 else -1
        return sign * value < sign * bound - EXACT * max(1.0, abs(bound))
    }

    /** A metric, or what follows from one; null if it does not apply. Identical outputs have no noise at all. */
    private fun value(metric: String, metrics: Map<String, Double?>): Double? {
        val (accuracy, reference) = metrics["accuracy"] to metrics["reference_accuracy"]
        return when (metric) {
            "sqnr_db" -> metrics[metric] ?: Double.POSITIVE_INFINITY
            "accuracy_drop" -> if (accuracy == null || reference == null) null else reference - accuracy
            "accuracy_ratio" -> when {
                accuracy == null || reference == null -> null
                reference == 0.0 -> 1.0
                else -> 1 - (reference - accuracy) / abs(reference)
            }
            else -> metrics[metric]
        }
    }
}
