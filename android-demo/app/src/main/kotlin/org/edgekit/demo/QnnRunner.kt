package org.edgekit.demo

import ai.onnxruntime.OrtEnvironment
import ai.onnxruntime.OrtException
import ai.onnxruntime.OrtHardwareDevice.OrtHardwareDeviceType
import ai.onnxruntime.OrtSession
import java.io.File
import org.edgekit.core.Artifact
import org.edgekit.core.Bundle
import org.edgekit.core.Code
import org.edgekit.core.Failure
import org.edgekit.core.Format
import org.edgekit.core.Manifest
import org.edgekit.core.ModelRunner
import org.edgekit.core.Runtime

/**
 * Runs the .onnx of a bundle for Hexagon on the NPU, by Qualcomm's execution provider. A node that the provider does not
 * take is a failure: half a model on the CPU would be slower than all of it there, and nobody would know.
 *
 * Nothing here is Android's: in a JVM on Linux the same class runs on Qualcomm's library for that.
 *
 * @param provider the provider's library; by its name among those of the app
 * @param backend the library that drives the NPU, likewise
 */
class QnnRuntime(
    private val provider: String = "libonnxruntime_providers_qnn.so",
    private val backend: String = "libQnnHtp.so",
) : Runtime {
    override val format = Format.ONNX
    override val name = "onnxruntime"
    override val chips = setOf("hexagon")

    override val version: String? by lazy {
        try {
            OrtEnvironment.getEnvironment().version
        } catch (_: LinkageError) {
            null // the library is missing; loading says so
        }
    }

    /** The file that was compiled for this system on a chip is taken first; an older library may not read it. */
    override fun load(bundle: Bundle, artifact: Artifact): ModelRunner {
        val compiled = artifact.compiled.firstOrNull()
        if (compiled != null) {
            try {
                return open(bundle, artifact, File(bundle.folder, compiled.file), "compiled ahead of time")
            } catch (failure: Failure) {
                return open(bundle, artifact, bundle.file(artifact), "compiled here, since ${failure.says}")
            }
        }
        return open(bundle, artifact, bundle.file(artifact), "compiled here")
    }

    private fun open(bundle: Bundle, artifact: Artifact, file: File, how: String): ModelRunner = opening(artifact) {
        val kernels = "ONNX Runtime ${OrtEnvironment.getEnvironment().version} QNN ${bundle.manifest.target}, $how"
        OnnxRunner(artifact, bundle.manifest, kernels, PROVIDER, threads = 1) { settings ->
            settings.setIntraOpNumThreads(1)
            settings.addConfigEntry("session.disable_cpu_ep_fallback", "1")
            for ((name, size) in sizes(bundle.manifest)) settings.setSymbolicDimensionValue(name, size)
            add(settings, artifact, bundle.manifest.chipOptions + ("backend_path" to backend) + QUANTIZES)
            file
        }
    }

    /** Adds the provider: a library of its own, or a part of the ONNX Runtime in this app. */
    private fun add(settings: OrtSession.SessionOptions, artifact: Artifact, options: Map<String, String>) {
        val environment = OrtEnvironment.getEnvironment()
        val reason = registered(environment, provider)
        if (reason == null) {
            // Only an NPU of the vendor's would do on a phone; a simulation has none.
            val devices = environment.epDevices.filter { it.epName == PROVIDER }
            val device = devices.firstOrNull { it.device.type == OrtHardwareDeviceType.NPU } ?: devices.firstOrNull()
            if (device != null) return settings.addExecutionProvider(listOf(device), options)
        }
        try {
            settings.addQnn(options)
        } catch (error: OrtException) {
            val words = "there is no $PROVIDER: ${reason ?: "$provider finds no NPU"}; ${error.message}"
            throw Failure(Code.LOAD_FAILED, "file" to artifact.file, "reason" to words, "needs" to artifact.needs, cause = error)
        }
    }

    private companion object {
        const val PROVIDER = "QNNExecutionProvider"

        // Else the first rounding and the last are the CPU's.
        val QUANTIZES = "offload_graph_io_quantization" to "0"

        private val known = mutableSetOf<String>()

        /** Registers the provider's library, once in a process; returns why that cannot be done. */
        @Synchronized
        fun registered(environment: OrtEnvironment, library: String): String? = try {
            if (library !in known) environment.registerExecutionProviderLibrary(PROVIDER, library)
            known += library
            null
        } catch (error: OrtException) {
            error.message.orEmpty()
        }

        /** The one size that each dimension has, for the chip takes no others: a batch of one sample, else the largest. */
        fun sizes(manifest: Manifest): Map<String, Long> {
            val batch = manifest.inputs.mapNotNull { it.shape.firstOrNull()?.name }.toSet()
            return manifest.dimensions.mapValues { (name, largest) -> if (name in batch) 1L else largest.toLong() }
        }
    }
}
