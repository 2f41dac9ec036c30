package org.edgekit.demo

import android.app.Activity
import android.graphics.Bitmap
import android.graphics.Canvas
import android.graphics.drawable.BitmapDrawable
import android.view.Gravity
import android.view.View
import org.edgekit.core.Code
import org.edgekit.core.Failure
import org.edgekit.core.FellBack

/** A picture of few pixels, enlarged without a blur: what the model gets is to be seen as it is. */
class Pixels(bitmap: Bitmap) : BitmapDrawable(null, bitmap) {
    init {
        isFilterBitmap = false
    }

    override fun draw(canvas: Canvas) = super.draw(canvas)

    override fun getIntrinsicWidth() = -1

    override fun getIntrinsicHeight() = -1
}

/** What is wrong and what to do, as a card. */
fun Ui.failed(failure: Failure): View = card {
    val ui = this@failed
    put(row { put(chip("Failed", good = false), ui, width = null) }, ui)
    put(text(failure.says, 15, bold = true), ui, 12)
    put(text(failure.action, 14, faint), ui, 8)
}

/** A better bundle that this phone does not run, and why. */
fun Ui.fellBack(one: FellBack): View = card {
    val ui = this@fellBack
    put(text("Not run: ${one.target}", 15, bold = true), ui)
    put(text("It is for ${one.chip}. ${one.reason}", 13, faint), ui, 4)
}

/** The whole screen of a failure that leaves nothing to show. */
fun Ui.failure(activity: Activity, failure: Failure) {
    val ui = this
    screen(activity) {
        gravity = Gravity.CENTER_VERTICAL
        put(text("EdgeKit Demo", 26, bold = true), ui)
        if (failure.code == Code.NO_BUNDLE) put(nothing(), ui, 20) else put(failed(failure), ui, 20)
    }
}

/** Nothing was dropped yet: the way from a checkpoint to this screen. */
private fun Ui.nothing(): View = card {
    val ui = this@nothing
    put(text("No model was put into this app.", 18, bold = true), ui)
    put(text("On the computer, in EdgeKit's folder:", 14, faint), ui, 8)
    for (command in listOf("edgekit build --target android-arm64", "edgekit drop android-demo")) {
        val line = text(command, 13).apply {
            typeface = android.graphics.Typeface.MONOSPACE
            setTextIsSelectable(true)
            background = shape(paper, 12)
            setPadding(px(12), px(10), px(12), px(10))
        }
        put(line, ui, 10)
    }
    put(text("Then build and install the app again.", 14, faint), ui, 12)
}
