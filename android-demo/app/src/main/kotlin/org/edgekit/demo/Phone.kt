package org.edgekit.demo

import android.content.Context
import android.content.pm.PackageManager
import android.os.Build
import android.system.Os
import java.io.File
import java.util.concurrent.Executors
import org.edgekit.core.Bundle
import org.edgekit.core.Choice
import org.edgekit.core.Device
import org.edgekit.core.Runtime

/** What this phone is, and where things are on it. */
object Phone {
    /** One thread for all models: none of the runtimes' modules may be called from two at once. */
    val background = Executors.newSingleThreadExecutor { work -> Thread(work, "models") }

    /** Big cores are few; more threads than those slow a small model down. */
    private val threads = minOf(4, java.lang.Runtime.getRuntime().availableProcessors())

    /** The system on a chip by Android's name for it, from version 12 on; empty if it does not say. */
    fun soc(): String = if (Build.VERSION.SDK_INT >= 31) Build.SOC_MODEL.takeIf { it != Build.UNKNOWN }.orEmpty() else ""

    /** The phone in its maker's words. */
    fun device(): Device {
        val maker = Build.MANUFACTURER.replaceFirstChar { it.uppercase() }
        val name = if (Build.MODEL.startsWith(maker, ignoreCase = true)) Build.MODEL else "$maker ${Build.MODEL}"
        val cpu = if (Build.SUPPORTED_ABIS.firstOrNull() == "x86_64") "x86_64" else "arm64"
        return Device(name, soc().ifEmpty { Build.HARDWARE.orEmpty() }, "Android ${Build.VERSION.RELEASE} (API ${Build.VERSION.SDK_INT})", cpu)
    }

    /** The runtimes that are linked into this app. */
    fun runtimes(context: Context): List<Runtime> {
        // Where the NPU finds the half of Qualcomm's library that runs on itself.
        val libraries = context.applicationInfo.nativeLibraryDir.orEmpty()
        if (File(libraries, "libQnnHtp.so").isFile) Os.setenv("ADSP_LIBRARY_PATH", libraries, true)
        return listOf(ExecuTorchRuntime(executorch(context), threads), OnnxRuntime(threads), QnnRuntime())
    }

    /**
     * The best of the bundles that `edgekit drop` put into the assets that works on this phone, copied to where it can be
     * mapped into memory. Slow.
     */
    fun choice(context: Context): Choice {
        val files = File(context.filesDir, "edgekit")
        return Bundle.choose({ path -> context.assets.open("edgekit/$path") }, files, soc(), runtimes(context))
    }

    /** Where a computer finds what the self-test wrote; the SDK knows the same path. */
    const val PULL = "/sdcard/Android/data/org.edgekit.demo/files/selftest"

    /** Where the self-test writes: the same place by its name in the app. `adb pull` reads it without root. */
    fun results(context: Context): File = File(context.getExternalFilesDir(null) ?: context.filesDir, "selftest")

    /** The version that the build took from the catalog; null if it did not say. */
    private fun executorch(context: Context): String? {
        val flags = PackageManager.GET_META_DATA
        val data = context.packageManager.getApplicationInfo(context.packageName, flags).metaData
        return data?.getString("org.edgekit.demo.executorch")?.substringAfter(' ', "")?.takeIf { it.isNotBlank() }
    }
}
