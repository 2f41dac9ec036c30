package org.edgekit.demo

import android.app.Activity
import android.content.Context
import android.content.res.Configuration
import android.content.res.ColorStateList
import android.graphics.Canvas
import android.graphics.Paint
import android.graphics.Typeface
import android.graphics.drawable.GradientDrawable
import android.graphics.drawable.RippleDrawable
import android.view.Gravity
import android.view.View
import android.view.ViewGroup
import android.widget.LinearLayout
import android.widget.ScrollView
import android.widget.TextView

/**
 * The few shapes that the screens are made of, in code: without layouts there is no generated class, and Maven can
 * compile all of it. Sizes are in dp, of text in sp.
 */
class Ui(private val context: Context) {
    private val night = context.resources.configuration.uiMode and Configuration.UI_MODE_NIGHT_MASK == Configuration.UI_MODE_NIGHT_YES

    val paper = if (night) 0xff101413.toInt() else 0xfff3f6f5.toInt()
    val surface = if (night) 0xff1b2120.toInt() else 0xffffffff.toInt()
    val line = if (night) 0xff2f3836.toInt() else 0xffdde5e2.toInt()
    val ink = if (night) 0xffe6eceb.toInt() else 0xff15201d.toInt()
    val faint = if (night) 0xff9aa8a4.toInt() else 0xff5b6b66.toInt()
    val accent = if (night) 0xff5fd0b5.toInt() else 0xff0f6e5c.toInt()
    val onAccent = if (night) 0xff06231c.toInt() else 0xffffffff.toInt()
    val soft = if (night) 0xff1f3a34.toInt() else 0xffdcf1eb.toInt()
    val bad = if (night) 0xffff9a8a.toInt() else 0xffb3261e.toInt()
    val badSoft = if (night) 0xff452622.toInt() else 0xfffbe4e1.toInt()

    fun px(dp: Number): Int = Math.round(dp.toFloat() * context.resources.displayMetrics.density)

    /** The whole screen: a column that scrolls, clear of the system's bars. */
    fun screen(activity: Activity, fill: LinearLayout.() -> Unit): LinearLayout {
        val column = column { setPadding(px(16), px(16), px(16), px(24)) }
        column.fill()
        val scroll = ScrollView(context).apply {
            fitsSystemWindows = true
            isFillViewport = true
            setBackgroundColor(paper)
            addView(column)
        }
        activity.window.decorView.setBackgroundColor(paper)
        activity.setContentView(scroll)
        bars(activity)
        return column
    }

    /** Dark symbols in the system's bars over a light screen. */
    @Suppress("DEPRECATION") // what replaces it begins with API 30
    private fun bars(activity: Activity) {
        activity.window.statusBarColor = paper
        activity.window.navigationBarColor = if (night || android.os.Build.VERSION.SDK_INT >= 26) paper else 0xff000000.toInt()
        var flags = 0
        if (!night) flags = flags or View.SYSTEM_UI_FLAG_LIGHT_STATUS_BAR
        if (!night && android.os.Build.VERSION.SDK_INT >= 26) flags = flags or View.SYSTEM_UI_FLAG_LIGHT_NAVIGATION_BAR
        activity.window.decorView.systemUiVisibility = flags
    }

    fun column(fill: LinearLayout.() -> Unit = {}) = LinearLayout(context).apply {
        orientation = LinearLayout.VERTICAL
        fill()
    }

    fun row(fill: LinearLayout.() -> Unit = {}) = LinearLayout(context).apply {
        gravity = Gravity.CENTER_VERTICAL
        fill()
    }

    /** A raised part of the screen. */
    fun card(fill: LinearLayout.() -> Unit) = column {
        background = shape(surface, 20, line)
        setPadding(px(16), px(16), px(16), px(16))
        fill()
    }

    fun text(words: CharSequence, size: Number = 14, color: Int = ink, bold: Boolean = false) = TextView(context).apply {
        text = words
        textSize = size.toFloat()
        setTextColor(color)
        setLineSpacing(0f, 1.15f)
        if (bold) typeface = MEDIUM
    }

    /** Small capitals over a part. */
    fun heading(words: String) = text(words.uppercase(), 11, faint, bold = true).apply { letterSpacing = 0.08f }

    fun button(words: String, filled: Boolean = false, act: () -> Unit) = text(words, 14, if (filled) onAccent else accent, bold = true).apply {
        gravity = Gravity.CENTER
        minHeight = px(44)
        setPadding(px(18), 0, px(18), 0)
        val plain = shape(if (filled) accent else surface, 22, if (filled) accent else line)
        background = RippleDrawable(ColorStateList.valueOf(if (filled) soft else line), plain, null)
        isClickable = true
        isFocusable = true
        setOnClickListener { act() }
    }

    /** One of several, side by side. */
    fun segments(names: List<String>, chosen: Int, choose: (Int) -> Unit) = row {
        background = shape(if (night) line else 0xffe6edea.toInt(), 22)
        setPadding(px(4), px(4), px(4), px(4))
        names.forEachIndexed { i, name ->
            val segment = text(name, 14, if (i == chosen) ink else faint, bold = i == chosen).apply {
                gravity = Gravity.CENTER
                minHeight = px(38)
                isClickable = true
                isFocusable = true
                isSelected = i == chosen
                if (i == chosen) background = shape(surface, 19)
                setOnClickListener { choose(i) }
            }
            addView(segment, weighted())
        }
    }

    /** A word in colour: passed, failed. */
    fun chip(words: String, good: Boolean?) = text(words, 12, if (good == null) faint else if (good) accent else bad, bold = true).apply {
        background = shape(if (good == null) paper else if (good) soft else badSoft, 14)
        setPadding(px(12), px(5), px(12), px(5))
    }

    /** A share of one, as a bar. */
    fun bar(share: Double, strong: Boolean): View = object : View(context) {
        private val paint = Paint(Paint.ANTI_ALIAS_FLAG)
        override fun onDraw(canvas: Canvas) {
            val round = height / 2f
            paint.color = line
            canvas.drawRoundRect(0f, 0f, width.toFloat(), height.toFloat(), round, round, paint)
            paint.color = if (strong) accent else faint
            val end = maxOf(height.toFloat(), width * share.coerceIn(0.0, 1.0).toFloat())
            canvas.drawRoundRect(0f, 0f, end, height.toFloat(), round, round, paint)
        }
    }

    fun shape(fill: Int, radius: Int, edge: Int? = null) = GradientDrawable().apply {
        setColor(fill)
        cornerRadius = px(radius).toFloat()
        if (edge != null) setStroke(px(1), edge)
    }

    /** A part that takes what is left of a row. */
    fun weighted(weight: Number = 1) = LinearLayout.LayoutParams(0, ViewGroup.LayoutParams.WRAP_CONTENT, weight.toFloat())

    companion object {
        val MEDIUM: Typeface = Typeface.create("sans-serif-medium", Typeface.NORMAL)
    }
}

/** Adds a view under or beside the others, with room before it and of a size, both in dp. */
fun LinearLayout.put(view: View, ui: Ui, gap: Number = 0, width: Int? = null, height: Int? = null) {
    val vertical = orientation == LinearLayout.VERTICAL
    val wide = width?.let { ui.px(it) } ?: if (vertical) ViewGroup.LayoutParams.MATCH_PARENT else ViewGroup.LayoutParams.WRAP_CONTENT
    val params = LinearLayout.LayoutParams(wide, height?.let { ui.px(it) } ?: ViewGroup.LayoutParams.WRAP_CONTENT)
    if (vertical) params.topMargin = ui.px(gap) else params.leftMargin = ui.px(gap)
    addView(view, params)
}
