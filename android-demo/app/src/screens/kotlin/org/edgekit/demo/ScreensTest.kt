package org.edgekit.demo

import android.app.Activity
import android.content.Intent
import android.graphics.Bitmap
import android.graphics.Canvas
import android.os.Looper
import android.view.View
import android.view.ViewGroup
import android.widget.TextView
import java.io.File
import java.util.concurrent.TimeUnit
import org.junit.Assert.assertTrue
import org.junit.Assume.assumeTrue
import org.junit.Test
import org.junit.runner.RunWith
import org.robolectric.Robolectric
import org.robolectric.RobolectricTestRunner
import org.robolectric.Shadows.shadowOf
import org.robolectric.annotation.Config
import org.robolectric.annotation.GraphicsMode
import org.robolectric.shadows.ShadowBuild

/**
 * The real activities, with Android's own views and its own drawing, on the JVM: what a person does on them, what they
 * answer, and pictures of them. ONNX Runtime computes for real; of ExecuTorch there is no library for a JVM.
 */
@RunWith(RobolectricTestRunner::class)
@GraphicsMode(GraphicsMode.Mode.NATIVE)
@Config(sdk = [35], qualifiers = SMALL)
class ScreensTest {
    private val pictures = File(System.getProperty("edgekit.pictures")).apply { mkdirs() }
    private val dropped = System.getProperty("edgekit.dropped").toBoolean()

    @Test
    fun `a drawn digit is told`() = drawn("draw")

    @Test
    @Config(qualifiers = "+night")
    fun `in the dark`() = drawn("draw-dark")

    @Test
    fun `a golden input is told`() {
        assumeTrue(dropped)
        val activity = started()
        tap(activity, "Golden inputs")
        find(activity) { it.contentDescription == "Input of the model" }.performClick()
        settled(activity) { it == "THE MODEL SAYS" }
        save(activity, "golden")
    }

    @Test
    fun `this machine passes the self-test`() {
        assumeTrue(dropped)
        val activity = tested()
        settled(activity) { it == "This phone computes what the host computed." }
        save(activity, "selftest")
        assertTrue(File(Phone.results(activity), "selftest.json").isFile)
    }

    /** As `edgekit profile --device` starts it: the screen closes when the results are there. */
    @Test
    fun `started by a computer, the screen closes when it is done`() {
        assumeTrue(dropped)
        val intent = Intent().putExtra("selftest", true)
        val activity = Robolectric.buildActivity(SelfTestActivity::class.java, intent).setup().get()
        waitFor({ texts(activity).toString() }) { activity.isFinishing }
        assertTrue(File(Phone.results(activity), "selftest.json").isFile)
    }

    @Test
    fun `asked for again by a computer, it runs again`() {
        assumeTrue(dropped)
        val controller = Robolectric.buildActivity(SelfTestActivity::class.java).setup()
        val activity = controller.get()
        settled(activity) { it == "Run again" }
        val result = File(Phone.results(activity), "selftest.json").apply { delete() }
        controller.newIntent(Intent().putExtra("selftest", true))
        waitFor({ texts(activity).toString() }) { activity.isFinishing }
        assertTrue(result.isFile)
    }

    @Test
    fun `without a bundle it says what to do`() {
        assumeTrue(!dropped)
        val activity = Robolectric.buildActivity(MainActivity::class.java).setup().get()
        settled(activity) { it == "edgekit drop android-demo" }
        save(activity, "no-bundle")
    }

    private fun drawn(name: String) {
        assumeTrue(dropped)
        val activity = started()
        val sheet = find(activity) { it is DrawView } as DrawView
        // A three.
        sheet.draw(
            listOf(
                listOf(
                    .30f to .25f, .38f to .17f, .50f to .14f, .62f to .18f, .68f to .28f, .64f to .39f, .52f to .46f, .44f to .48f,
                    .56f to .49f, .67f to .57f, .70f to .70f, .63f to .82f, .50f to .87f, .37f to .84f, .29f to .76f,
                ),
            ),
        )
        settled(activity) { it == "THE MODEL SAYS" }
        assertTrue(texts(activity).joinToString(), "3" == texts(activity).dropWhile { it != "THE MODEL SAYS" }[1])
        save(activity, name)
    }

    private fun started(): Activity {
        device()
        val activity = Robolectric.buildActivity(MainActivity::class.java).setup().get()
        settled(activity) { it == "Self-test" }
        return activity
    }

    private fun tested(): Activity {
        device()
        return Robolectric.buildActivity(SelfTestActivity::class.java).setup().get()
    }

    private fun device() {
        ShadowBuild.setManufacturer("Android's views")
        ShadowBuild.setModel("on a JVM")
        ShadowBuild.setHardware("Robolectric")
    }

    private fun tap(activity: Activity, words: String) {
        find(activity) { it is TextView && it.text.toString() == words }.performClick()
        shadowOf(Looper.getMainLooper()).idle()
        lay(activity)
    }

    /** Waits for words on the screen. */
    private fun settled(activity: Activity, there: (String) -> Boolean) {
        waitFor({ texts(activity).toString() }) { texts(activity).any(there) }
        lay(activity)
    }

    private fun waitFor(there: () -> String, done: () -> Boolean) {
        val end = System.nanoTime() + TimeUnit.SECONDS.toNanos(30)
        while (!done()) {
            check(System.nanoTime() < end) { "it did not come within half a minute; there is: ${there()}" }
            Thread.sleep(20)
            shadowOf(Looper.getMainLooper()).idle()
        }
    }

    private fun texts(activity: Activity): List<String> = views(content(activity)).filterIsInstance<TextView>().map { it.text.toString() }.toList()

    private fun find(activity: Activity, wanted: (View) -> Boolean): View = views(content(activity)).first(wanted)

    private fun views(view: View): Sequence<View> = sequence {
        yield(view)
        if (view is ViewGroup) for (i in 0 until view.childCount) yieldAll(views(view.getChildAt(i)))
    }

    private fun content(activity: Activity): ViewGroup = checkNotNull(activity.findViewById<ViewGroup>(android.R.id.content))

    private fun lay(activity: Activity): Pair<Int, Int> {
        val width = activity.resources.displayMetrics.widthPixels
        val root = content(activity)
        val scroll = root.getChildAt(0) as ViewGroup
        // As high as what it shows: a picture of all of a screen that scrolls.
        scroll.getChildAt(0).measure(View.MeasureSpec.makeMeasureSpec(width, View.MeasureSpec.EXACTLY), View.MeasureSpec.makeMeasureSpec(0, View.MeasureSpec.UNSPECIFIED))
        val height = maxOf(scroll.getChildAt(0).measuredHeight, activity.resources.displayMetrics.heightPixels)
        root.measure(View.MeasureSpec.makeMeasureSpec(width, View.MeasureSpec.EXACTLY), View.MeasureSpec.makeMeasureSpec(height, View.MeasureSpec.EXACTLY))
        root.layout(0, 0, width, height)
        return width to height
    }

    private fun save(activity: Activity, name: String) {
        val (width, height) = lay(activity)
        val bitmap = Bitmap.createBitmap(width, height, Bitmap.Config.ARGB_8888)
        content(activity).draw(Canvas(bitmap))
        File(pictures, "$name.png").outputStream().use { bitmap.compress(Bitmap.CompressFormat.PNG, 100, it) }
    }
}

private const val SMALL = "w360dp-h740dp-port-xhdpi"
