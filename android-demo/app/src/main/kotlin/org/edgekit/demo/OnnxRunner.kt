package org.edgekit.demo

import ai.onnxruntime.OnnxJavaType
import ai.onnxruntime.OnnxTensor
import ai.onnxruntime.OrtEnvironment
import ai.onnxruntime.OrtException
import ai.onnxruntime.OrtSession
import ai.onnxruntime.TensorInfo
import java.io.File
import java.io.IOException
import java.io.RandomAccessFile
import java.nio.ByteBuffer
import java.nio.ByteOrder
import java.nio.channels.FileChannel
import org.edgekit.core.Artifact
import org.edgekit.core.Bundle
import org.edgekit.core.Code
import org.edgekit.core.DType
import org.edgekit.core.Failure
import org.edgekit.core.Format
import org.edgekit.core.Manifest
import org.edgekit.core.ModelRunner
import org.edgekit.core.Placement
import org.edgekit.core.RunNode
import org.edgekit.core.Runtime
import org.edgekit.core.Tensor

/** Runs .onnx artifacts. Nothing here is Android's: the same class runs in a JVM, on onnxruntime's library for it. */
class OnnxRuntime(private val threads: Int) : Runtime {
    override val format = Format.ONNX
    override val name = "onnxruntime"

    override val version: String? by lazy {
        try {
            OrtEnvironment.getEnvironment().version
        } catch (_: LinkageError) {
            null // the library is missing; loading says so
        }
    }

    override fun load(bundle: Bundle, artifact: Artifact): ModelRunner = opening(artifact) {
        val exact = onX86() && bundle.manifest.cpu != "x86_64"
        val kernels = "ONNX Runtime ${OrtEnvironment.getEnvironment().version} CPU${if (exact) ", exact int8 kernels" else ""}"
        OnnxRunner(artifact, bundle.manifest, kernels, "CPUExecutionProvider", threads) { settings ->
            settings.setIntraOpNumThreads(threads)
            // Without VNNI, x86 kernels for int8 weights add in 16 bits and saturate; ARM's do not, and the host's run
            // of an artifact for ARM did not either. So x86 (an emulator, a JVM) takes the slower exact kernels for it.
            if (exact) settings.addConfigEntry("session.x64quantprecision", "1")
            bundle.file(artifact)
        }
    }

    private fun onX86() = System.getProperty("os.arch").orEmpty().let { it.startsWith("x86") || it.startsWith("i") || it == "amd64" }
}

/** Opens something of ONNX Runtime's, and says in words why that cannot be done. */
internal fun <T> opening(artifact: Artifact, open: () -> T): T {
    fun failed(reason: String, cause: Throwable) =
        Failure(Code.LOAD_FAILED, "file" to artifact.file, "reason" to reason, "needs" to artifact.needs, cause = cause)
    try {
        return open()
    } catch (error: OrtException) {
        throw failed(error.message.orEmpty(), error)
    } catch (error: IOException) {
        throw failed(error.message.orEmpty(), error)
    } catch (error: LinkageError) {
        throw failed("the library of ONNX Runtime is not in this app, or not for this processor", error)
    }
}

/**
 * A session of ONNX Runtime.
 *
 * @param prepare sets a session's options, and returns the file to load
 */
internal class OnnxRunner(
    private val artifact: Artifact,
    private val manifest: Manifest,
    override val kernels: String,
    override val provider: String,
    override val threads: Int,
    private val prepare: (OrtSession.SessionOptions) -> File,
) : ModelRunner {
    private val environment = OrtEnvironment.getEnvironment()
    private val session = OrtSession.SessionOptions().use(::open)

    private fun open(options: OrtSession.SessionOptions): OrtSession {
        val file = prepare(options)
        val mapped = RandomAccessFile(file, "r").use { it.channel.map(FileChannel.MapMode.READ_ONLY, 0, it.length()) }
        return environment.createSession(mapped, options)
    }

    override fun run(inputs: List<Tensor>): List<Tensor> = run(session, inputs)

    /** From a profile, which a session of its own writes: writing costs time. */
    override fun placement(inputs: List<Tensor>): List<RunNode>? {
        val prefix = File.createTempFile("edgekit", "")
        return try {
            OrtSession.SessionOptions().use { options ->
                options.enableProfiling(prefix.path)
                open(options).use { profiled ->
                    run(profiled, inputs)
                    val file = File(profiled.endProfiling())
                    Placement.parse(file.readText()).also { file.delete() }
                }
            }
        } catch (_: OrtException) {
            null
        } catch (_: IOException) {
            null
        } finally {
            prefix.delete()
        }
    }

    private fun run(session: OrtSession, inputs: List<Tensor>): List<Tensor> {
        val opened = mutableMapOf<String, OnnxTensor>()
        try {
            for (input in inputs) {
                val shape = LongArray(input.shape.size) { input.shape[it].toLong() }
                opened[input.name] = OnnxTensor.createTensor(environment, direct(input), shape, type(input.dtype))
            }
            session.run(opened).use { results ->
                return manifest.outputs.map { spec -> tensor(spec.name, results) }
            }
        } catch (error: OrtException) {
            throw Failure(Code.RUN_FAILED, "file" to artifact.file, "reason" to error.message.orEmpty(), cause = error)
        } finally {
            opened.values.forEach { it.close() }
        }
    }

    private fun tensor(name: String, results: OrtSession.Result): Tensor {
        val value = results.get(name).orElse(null) as? OnnxTensor
            ?: throw Failure(Code.RUN_FAILED, "file" to artifact.file, "reason" to "it has no output $name that is a tensor")
        val info: TensorInfo = value.info
        val dtype = DType.entries.firstOrNull { type(it) == info.type }
            ?: throw Failure(Code.RUN_FAILED, "file" to artifact.file, "reason" to "output $name is of type ${info.type}")
        val bytes = value.byteBuffer.let { buffer -> ByteArray(buffer.remaining()).also { buffer.get(it) } }
        return Tensor(name, dtype, IntArray(info.shape.size) { info.shape[it].toInt() }, bytes)
    }

    /** Bytes outside of the heap: of those alone ONNX Runtime takes every type. */
    private fun direct(tensor: Tensor): ByteBuffer =
        ByteBuffer.allocateDirect(tensor.size * tensor.dtype.bytes).order(ByteOrder.nativeOrder()).put(tensor.data).apply { flip() }

    private fun type(dtype: DType): OnnxJavaType = when (dtype) {
        DType.FLOAT32 -> OnnxJavaType.FLOAT
        DType.FLOAT16 -> OnnxJavaType.FLOAT16
        DType.INT64 -> OnnxJavaType.INT64
        DType.INT32 -> OnnxJavaType.INT32
        DType.UINT8 -> OnnxJavaType.UINT8
        DType.INT8 -> OnnxJavaType.INT8
        DType.BOOL -> OnnxJavaType.BOOL
    }

    override fun close() = session.close()
}
