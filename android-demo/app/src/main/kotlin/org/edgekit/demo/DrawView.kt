package org.edgekit.demo

import android.annotation.SuppressLint
import android.content.Context
import android.graphics.Bitmap
import android.graphics.Canvas
import android.graphics.Outline
import android.graphics.Paint
import android.graphics.Path
import android.view.MotionEvent
import android.view.View
import android.view.ViewOutlineProvider
import org.edgekit.core.Picture
import org.edgekit.core.Preprocessing

/**
 * A sheet that a finger draws on, in the shape that the model takes. Paper and ink follow from the manifest: the paper
 * is what lies behind transparent pixels, the ink its opposite.
 */
@SuppressLint("ViewConstructor")
class DrawView(context: Context, private val spec: Preprocessing, private val drawn: (Picture?) -> Unit) : View(context) {
    private val paper = grey(spec.background)
    private val strokes = Path()
    private var last: Pair<Float, Float>? = null
    private val ink = Paint(Paint.ANTI_ALIAS_FLAG).apply {
        color = grey(if (spec.background < 128) 255 else 0)
        style = Paint.Style.STROKE
        strokeCap = Paint.Cap.ROUND
        strokeJoin = Paint.Join.ROUND
    }
    private val hint = Paint(Paint.ANTI_ALIAS_FLAG).apply {
        color = grey(if (spec.background < 128) 150 else 110)
        textAlign = Paint.Align.CENTER
        textSize = 15 * resources.displayMetrics.density
    }

    init {
        contentDescription = "Draw here with a finger"
        clipToOutline = true
        outlineProvider = object : ViewOutlineProvider() {
            override fun getOutline(view: View, outline: Outline) =
                outline.setRoundRect(0, 0, view.width, view.height, 16 * resources.displayMetrics.density)
        }
    }

    /** Begins a new sheet. */
    fun clear() {
        strokes.reset()
        invalidate()
        drawn(null)
    }

    /** Draws lines as a finger would: each a list of places, as shares of width and height. */
    fun draw(lines: List<List<Pair<Float, Float>>>) {
        for (line in lines) line.forEachIndexed { i, (x, y) -> point(x * width, y * height, first = i == 0) }
        finished()
    }

    override fun onMeasure(widthSpec: Int, heightSpec: Int) {
        val width = MeasureSpec.getSize(widthSpec)
        setMeasuredDimension(width, width * spec.resize.height / spec.resize.width)
    }

    @SuppressLint("ClickableViewAccessibility") // there is nothing to click
    override fun onTouchEvent(event: MotionEvent): Boolean {
        // A finger that draws must not scroll the screen.
        parent?.requestDisallowInterceptTouchEvent(true)
        when (event.actionMasked) {
            MotionEvent.ACTION_DOWN -> point(event.x, event.y, first = true)
            MotionEvent.ACTION_MOVE -> {
                for (i in 0 until event.historySize) point(event.getHistoricalX(i), event.getHistoricalY(i), first = false)
                point(event.x, event.y, first = false)
            }
            MotionEvent.ACTION_UP, MotionEvent.ACTION_CANCEL -> finished()
        }
        return true
    }

    override fun onDraw(canvas: Canvas) {
        paint(canvas)
        if (strokes.isEmpty) canvas.drawText("Draw here with a finger", width / 2f, height / 2f, hint)
    }

    private fun paint(canvas: Canvas) {
        canvas.drawColor(paper)
        ink.strokeWidth = minOf(width, height) / 12f
        canvas.drawPath(strokes, ink)
    }

    private fun point(x: Float, y: Float, first: Boolean) {
        val before = last
        if (first || before == null) {
            strokes.moveTo(x, y)
        } else {
            // Through the middle of each piece: round where single places would show corners.
            strokes.quadTo(before.first, before.second, (before.first + x) / 2, (before.second + y) / 2)
        }
        last = x to y
        invalidate()
    }

    private fun finished() {
        last?.let { (x, y) -> strokes.lineTo(x, y + 0.1f) } // a tap, too, leaves a dot
        last = null
        invalidate()
        val bitmap = Bitmap.createBitmap(width, height, Bitmap.Config.ARGB_8888)
        paint(Canvas(bitmap))
        drawn(Pictures.of(bitmap))
    }

    private fun grey(level: Int) = 0xff shl 24 or (level shl 16) or (level shl 8) or level
}
