package org.edgekit.demo

import android.app.Activity
import android.content.Intent
import android.os.Bundle
import android.view.Gravity
import android.view.WindowManager
import android.widget.LinearLayout
import android.widget.TextView
import java.util.Locale
import org.edgekit.core.Device
import org.edgekit.core.LimitResult
import org.edgekit.core.Judged
import org.edgekit.core.Latency
import org.edgekit.core.Leg
import org.edgekit.core.Outcome
import org.edgekit.core.SelfTest
import org.edgekit.core.Status
import org.edgekit.core.Tested

/**
 * Does this phone compute what the host computed? Starts at once. With the extra `selftest` it is a job for a computer,
 * and the screen closes when the results are written:
 * `adb shell am start -n org.edgekit.demo/.SelfTestActivity --ez selftest true`.
 */
class SelfTestActivity : Activity() {
    private lateinit var ui: Ui
    private lateinit var body: LinearLayout

    override fun onCreate(state: Bundle?) {
        super.onCreate(state)
        ui = Ui(this)
        // A phone that falls asleep lowers its clock.
        window.addFlags(WindowManager.LayoutParams.FLAG_KEEP_SCREEN_ON)
        start()
    }

    /** Asked for again while it is on the screen: by a computer, as a rule. */
    override fun onNewIntent(intent: Intent) {
        super.onNewIntent(intent)
        setIntent(intent)
        start()
    }

    private fun start() {
        lateinit var progress: TextView
        val device = Phone.device()
        ui.screen(this) {
            header(device)
            body = ui.column()
            progress = ui.text("Starting", 15, ui.faint)
            body.put(ui.card { put(progress, ui) }, ui)
            put(body, ui, 20)
        }
        Phone.background.execute {
            val test = SelfTest(Phone.runtimes(this), device, Phone.results(this))
            val outcome = test.run({ Phone.choice(this) }) { words -> runOnUiThread { progress.text = "$words …" } }
            runOnUiThread {
                show(outcome)
                if (intent.getBooleanExtra(FOR_COMPUTER, false)) finish()
            }
        }
    }

    private fun LinearLayout.header(device: Device) {
        put(ui.text("Self-test", 26, bold = true), ui)
        put(ui.text("${device.full}\n${device.os}", 13, ui.faint), ui, 2)
    }

    /** Shows what was found; tests and pictures show outcomes that they bring. */
    fun show(outcome: Outcome) {
        body.removeAllViews()
        val failure = outcome.failure
        if (failure != null) body.put(ui.failed(failure), ui) else body.put(verdict(outcome), ui)
        outcome.fellBack.forEach { body.put(ui.fellBack(it), ui, 12) }
        outcome.artifacts.forEach { body.put(card(it), ui, 12) }
        body.put(ui.button("Run again") { start() }, ui, 16)
        val where = ui.text("Results and traces, on the computer:\nadb pull ${Phone.PULL}", 11, ui.faint)
        body.put(where.apply { gravity = Gravity.CENTER }, ui, 12)
    }

    private fun verdict(outcome: Outcome) = ui.column {
        val good = outcome.passed
        background = ui.shape(if (good) ui.soft else ui.badSoft, 20)
        setPadding(ui.px(16), ui.px(14), ui.px(16), ui.px(14))
        put(ui.text(if (good) "Passed" else "Failed", 20, if (good) ui.accent else ui.bad, bold = true), ui)
        val words = if (good) "This phone computes what the host computed." else "This phone does not compute what the host computed."
        put(ui.text(words, 14), ui, 2)
    }

    private fun card(tested: Tested) = ui.card {
        put(
            ui.row {
                val titles = ui.column {
                    put(ui.text(tested.artifact.file, 17, bold = true), ui)
                    put(ui.text(listOfNotNull(tested.runtime, tested.threads?.let { if (it == 1) "1 thread" else "$it threads" }).joinToString(), 12, ui.faint), ui)
                }
                addView(titles, ui.weighted())
                val good = if (tested.status == Status.SKIPPED) null else tested.status == Status.PASSED
                put(ui.chip(tested.status.name.lowercase().replaceFirstChar { it.uppercase() }, good), ui, 8)
            },
            ui,
        )
        if (tested.nodes != null) put(ui.text(nodes(tested), 12, ui.faint), ui, 4)
        tested.reason?.let { put(ui.text(it, 14), ui, 10) }
        tested.failure?.let { put(ui.text(it.action, 13, ui.faint), ui, 4) }
        tested.latency?.let { put(latencies(it), ui, 16) }
        tested.legs.forEach { put(leg(it), ui, 16) }
    }

    /** Who ran how many nodes, and which were not the provider's own. */
    private fun nodes(tested: Tested): String {
        val counts = tested.nodes.orEmpty().groupingBy { it.provider }.eachCount()
        val words = counts.entries.joinToString { (name, count) -> if (count == 1) "1 node by $name" else "$count nodes by $name" }
        return words + if (tested.elsewhere.isEmpty()) "" else ": ${tested.elsewhere.joinToString()}"
    }

    private fun latencies(latency: Latency) = ui.row {
        val numbers = listOf("load" to latency.load, "first" to latency.first, "median" to latency.median, "p95" to latency.p95)
        for ((name, value) in numbers) {
            val cell = ui.column {
                put(ui.text(milliseconds(value), 16, bold = true), ui)
                put(ui.text("$name, ms", 11, ui.faint), ui)
            }
            addView(cell, ui.weighted())
        }
    }

    private fun leg(leg: Leg) = ui.column {
        put(ui.heading(if (leg.leg == "device") "${leg.output}: phone against host" else "${leg.output}: phone against float"), ui)
        val metrics = leg.metrics
        put(fact("Signal to noise", metrics.sqnrDb?.let { number(it, "dB") } ?: "identical", null), ui, 8)
        val share = leg.worstShare?.let { String.format(Locale.US, "%.0f %% of allowed", 100 * it) } ?: "beyond all bounds"
        put(fact("Largest error", "${number(metrics.maxAbsError)} ($share)", leg.within), ui, 6)
        metrics.top1Agreement?.let { put(fact("Same first class", number(100 * it, "%"), null), ui, 6) }
        metrics.accuracy?.let { put(fact("Accuracy", number(100 * it, "%"), null), ui, 6) }
        if (metrics.nonFinite > 0) put(fact("Not finite", "${metrics.nonFinite} values", false), ui, 6)
        leg.limits.forEach { put(fact(it.limit, limit(it), if (it.result == LimitResult.NOT_JUDGED) null else it.result == LimitResult.KEPT), ui, 6) }
    }

    private fun limit(judged: Judged): String {
        val sign = if (judged.limit.startsWith("min_")) "≥" else "≤"
        val bound = "$sign ${number(judged.bound)}"
        return if (judged.result == LimitResult.NOT_JUDGED) "$bound, not judged here" else "${judged.value?.let { number(it) } ?: "∞"} $bound"
    }

    private fun fact(name: String, value: String, good: Boolean?) = ui.row {
        addView(ui.text(name, 13, ui.faint), ui.weighted())
        val mark = when (good) {
            true -> "✓ "
            false -> "✗ "
            null -> ""
        }
        put(ui.text(mark + value, 13, if (good == false) ui.bad else ui.ink), ui, 8)
    }

    private fun milliseconds(value: Double) = String.format(Locale.US, if (value < 10) "%.2f" else "%.0f", value)

    private fun number(value: Double, unit: String = ""): String {
        val text = String.format(Locale.US, "%.4g", value).let { if ('.' in it && 'e' !in it) it.trimEnd('0').trimEnd('.') else it }
        return if (unit.isEmpty()) text else "$text $unit"
    }

    companion object {
        /** The extra of a start by a computer. */
        const val FOR_COMPUTER = "selftest"
    }
}
