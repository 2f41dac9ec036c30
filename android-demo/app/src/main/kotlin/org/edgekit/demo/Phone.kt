package org.edgekit.demo

import android.content.Context
import android.content.pm.PackageManager
import android.os.Build
import java.io.File
import java.util.concurrent.Executors
import org.edgekit.core.Bundle
import org.edgekit.core.Device
import org.edgekit.core.Runtime

/** What this phone is, and where things are on it. */
object Phone {
    /** One thread for all models: none of the runtimes' modules may be called from two at once. */
    val background = Executors.newSingleThreadExecutor { work -> Thread(work, "models") }

    /** Big cores are few; more threads than those slow a small model down. */
    private val threads = minOf(4, java.lang.Runtime.getRuntime().availableProcessors())

    /** The phone in its maker's words. */
    fun device(): Device {
        val maker = Build.MANUFACTURER.replaceFirstChar { it.uppercase() }
        val name = if (Build.MODEL.startsWith(maker, ignoreCase = true)) Build.MODEL else "$maker ${Build.MODEL}"
        val soc = if (Build.VERSION.SDK_INT >= 31) Build.SOC_MODEL.takeIf { it != Build.UNKNOWN } else null
        val cpu = if (Build.SUPPORTED_ABIS.firstOrNull() == "x86_64") "x86_64" else "arm64"
        return Device(name, soc ?: Build.HARDWARE.orEmpty(), "Android ${Build.VERSION.RELEASE} (API ${Build.VERSION.SDK_INT})", cpu)
    }

    /** The runtimes that are linked into this app. */
    fun runtimes(context: Context): List<Runtime> = listOf(ExecuTorchRuntime(executorch(context), threads), OnnxRuntime(threads))

    /** The bundle that `edgekit drop` put into the assets, copied to where it can be mapped into memory. Slow. */
    fun bundle(context: Context): Bundle =
        Bundle.install({ path -> context.assets.open("edgekit/$path") }, File(context.filesDir, "edgekit"))

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
