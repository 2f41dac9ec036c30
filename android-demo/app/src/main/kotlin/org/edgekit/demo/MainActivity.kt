package org.edgekit.demo

import android.app.Activity
import android.content.Intent
import android.os.Bundle
import android.view.Gravity
import android.widget.FrameLayout
import android.widget.HorizontalScrollView
import android.widget.ImageView
import android.widget.LinearLayout
import java.util.Locale
import org.edgekit.core.Artifact
import org.edgekit.core.Bundle as Model
import org.edgekit.core.Choice
import org.edgekit.core.Failure
import org.edgekit.core.Format
import org.edgekit.core.ModelRunner
import org.edgekit.core.Picture
import org.edgekit.core.Predictor
import org.edgekit.core.Preprocess
import org.edgekit.core.Tensor
import org.edgekit.core.open

/** Draw, choose a picture, or take a golden input, and see what the model says. Nothing here knows the model. */
class MainActivity : Activity() {
    private lateinit var ui: Ui
    private lateinit var model: Model
    private lateinit var content: LinearLayout
    private lateinit var answer: LinearLayout
    private var artifact = 0
    private var mode = 0

    // On the thread of models alone.
    private var opened: Pair<Artifact, ModelRunner>? = null

    // What was last asked, to ask the other artifact the same.
    private var asked: ((Predictor) -> Predictor.Answer)? = null

    override fun onCreate(state: Bundle?) {
        super.onCreate(state)
        ui = Ui(this)
        ui.screen(this) {
            gravity = Gravity.CENTER
            put(ui.text("Checking the bundle …", 15, ui.faint).apply { gravity = Gravity.CENTER }, ui)
        }
        Phone.background.execute {
            val found = try {
                Result.success(Phone.choice(this))
            } catch (failure: Failure) {
                Result.failure(failure)
            }
            runOnUiThread { found.fold({ show(it) }, { ui.failure(this, it as Failure) }) }
        }
    }

    override fun onDestroy() {
        Phone.background.execute { opened?.second?.close() }
        super.onDestroy()
    }

    private fun show(found: Choice) {
        model = found.bundle
        ui.screen(this) {
            put(
                ui.row {
                    val titles = ui.column {
                        put(ui.text(model.manifest.modelName, 26, bold = true), ui)
                        put(ui.text("built for ${model.manifest.target}", 13, ui.faint), ui)
                    }
                    addView(titles, ui.weighted())
                    put(ui.button("Self-test", filled = true) { startActivity(Intent(context, SelfTestActivity::class.java)) }, ui, 12)
                },
                ui,
            )
            found.fellBack.forEach { put(ui.fellBack(it), ui, 12) }
            content = ui.column()
            put(content, ui)
        }
        layOut()
    }

    private val modes: List<String>
        get() = if (model.manifest.preprocessing == null || model.manifest.inputs.size != 1) listOf("Golden inputs")
        else listOf("Draw", "Picture", "Golden inputs")

    private fun layOut() {
        content.removeAllViews()
        val artifacts = model.manifest.artifacts
        if (artifacts.size > 1) content.put(ui.segments(artifacts.map { runtimeOf(it) }, artifact) { artifact = it; layOut(); ask(asked) }, ui, 20)
        content.put(
            ui.card {
                if (modes.size > 1) put(ui.segments(modes, mode) { mode = it; asked = null; layOut() }, ui)
                put(FrameLayout(context).also { input(it) }, ui, if (modes.size > 1) 16 else 0)
            },
            ui,
            if (artifacts.size > 1) 12 else 20,
        )
        answer = ui.column()
        content.put(answer, ui, 12)
    }

    private fun input(frame: FrameLayout) {
        val centred = FrameLayout.LayoutParams(-1, -2, Gravity.CENTER_HORIZONTAL)
        when (modes[mode]) {
            "Draw" -> frame.addView(ui.column { drawing() }, centred)
            "Picture" -> frame.addView(
                ui.column {
                    put(ui.text("A photo or a file of this phone. It is turned, cut, resized and normalised as the manifest says.", 14, ui.faint), ui)
                    put(ui.button("Choose a picture") { choose() }, ui, 14)
                },
                centred,
            )
            else -> frame.addView(ui.column { goldens() }, centred)
        }
    }

    private fun LinearLayout.drawing() {
        val spec = model.manifest.preprocessing ?: return
        val sheet = DrawView(context, spec) { picture ->
            if (picture == null) {
                asked = null
                answer.removeAllViews()
            } else ask { it.run(picture) }
        }
        sheet.id = SHEET
        put(sheet, ui)
        put(ui.button("Clear") { sheet.clear() }, ui, 12)
    }

    /** The inputs that came with the bundle; pictures are shown as the model gets them. */
    private fun LinearLayout.goldens() {
        put(ui.text("Inputs that came with the bundle, as the model gets them.", 14, ui.faint), ui)
        val row = ui.row()
        model.manifest.golden.forEachIndexed { i, golden ->
            val inputs = model.manifest.inputs.map { spec -> model.read(golden.inputs.first { it.name == spec.name }) }
            val act = { ask { it.run(inputs) } }
            val label = golden.label?.let { model.manifest.labels.getOrElse(it.toInt()) { _ -> it.toString() } }
            val tile = ui.column {
                gravity = Gravity.CENTER_HORIZONTAL
                seen(inputs[0])?.let { put(thumbnail(it, 64, act), ui, width = 64, height = 64) } ?: put(ui.button("${i + 1}", act = act), ui, width = 64)
                put(ui.text(label ?: "no label", 12, ui.faint).apply { gravity = Gravity.CENTER }, ui, 4)
            }
            row.put(tile, ui, if (i == 0) 0 else 10)
        }
        put(HorizontalScrollView(context).apply { isHorizontalScrollBarEnabled = false; addView(row) }, ui, 14)
    }

    private fun thumbnail(picture: Picture, size: Int, act: (() -> Unit)?) = ImageView(this).apply {
        setImageDrawable(Pixels(Pictures.bitmap(picture)))
        background = ui.shape(ui.line, size / 6)
        clipToOutline = true
        scaleType = ImageView.ScaleType.FIT_CENTER
        contentDescription = "Input of the model"
        act?.let { setOnClickListener { it() } }
    }

    private fun seen(input: Tensor): Picture? = model.manifest.preprocessing?.let { Preprocess.undone(input, it) }

    private fun choose() {
        startActivityForResult(Intent(Intent.ACTION_GET_CONTENT).setType("image/*").addCategory(Intent.CATEGORY_OPENABLE), PICK)
    }

    override fun onActivityResult(request: Int, result: Int, data: Intent?) {
        val uri = data?.data
        if (request == PICK && result == RESULT_OK && uri != null) ask { it.run(Pictures.read(this, uri)) }
    }

    /** Asks the chosen artifact on the thread of models, and shows what it says. */
    private fun ask(question: ((Predictor) -> Predictor.Answer)?) {
        asked = question ?: return
        val wanted = model.manifest.artifacts[artifact]
        Phone.background.execute {
            val said = try {
                val loaded = opened?.first == wanted
                val predictor = Predictor(model.manifest, runner(wanted))
                // The first inference of a runtime does work that later ones do not: it is not the one to time.
                if (!loaded) question(predictor)
                Result.success(question(predictor))
            } catch (failure: Failure) {
                Result.failure(failure)
            }
            runOnUiThread {
                // Something else may have been asked since.
                if (asked === question && wanted == model.manifest.artifacts[artifact]) {
                    said.fold({ show(it, wanted) }, { answer.removeAllViews(); answer.put(ui.failed(it as Failure), ui) })
                }
            }
        }
    }

    private fun runner(wanted: Artifact): ModelRunner {
        opened?.let { (artifact, runner) -> if (artifact == wanted) return runner else runner.close() }
        opened = null
        return Phone.runtimes(this).open(model, wanted).also { opened = wanted to it }
    }

    private fun show(said: Predictor.Answer, by: Artifact) {
        answer.removeAllViews()
        answer.put(
            ui.card {
                put(
                    ui.row {
                        val words = ui.column {
                            put(ui.heading(if (said.classes.isEmpty()) "Outputs" else "The model says"), ui)
                            said.classes.firstOrNull()?.let { put(ui.text(it.label, 34, bold = true), ui, 2) }
                        }
                        addView(words, ui.weighted())
                        seen(said.input)?.let { put(thumbnail(it, 56, null), ui, 12, width = 56, height = 56) }
                    },
                    ui,
                )
                said.classes.take(5).forEachIndexed { i, ranked -> put(ranked(ranked.label, ranked.probability, i == 0), ui, if (i == 0) 12 else 8) }
                if (said.classes.isEmpty()) said.outputs.forEach { put(ui.text("${it.name}: ${values(it)}", 13), ui, 8) }
                val time = String.format(Locale.US, "%.2f ms", said.milliseconds)
                put(ui.text("${by.file}, ${by.quantization} · ${said.provider} · $time on this phone", 12, ui.faint), ui, 14)
            },
            ui,
        )
    }

    private fun ranked(label: String, probability: Double, first: Boolean) = ui.row {
        put(ui.text(label, 14, if (first) ui.ink else ui.faint, bold = first).apply { maxLines = 1 }, ui, width = 92)
        addView(ui.bar(probability, first), LinearLayout.LayoutParams(0, ui.px(8), 1f))
        val share = String.format(Locale.US, "%.1f %%", 100 * probability)
        put(ui.text(share, 13, if (first) ui.ink else ui.faint).apply { gravity = Gravity.END }, ui, 8, width = 60)
    }

    private fun values(tensor: Tensor): String {
        val values = tensor.doubles()
        val first = values.take(6).joinToString { String.format(Locale.US, "%.4g", it) }
        return "${tensor.words}: $first${if (values.size > 6) ", …" else ""}"
    }

    private fun runtimeOf(artifact: Artifact) = when (artifact.format) {
        Format.PTE -> "ExecuTorch .pte"
        Format.ONNX -> "ONNX Runtime .onnx"
    }

    companion object {
        private const val PICK = 1

        /** The sheet that is drawn on. */
        const val SHEET = 0x5e37
    }
}
