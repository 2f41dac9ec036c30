package org.edgekit.demo

import java.nio.ByteBuffer
import java.nio.ByteOrder
import org.edgekit.core.Artifact
import org.edgekit.core.Bundle
import org.edgekit.core.Code
import org.edgekit.core.DType
import org.edgekit.core.Failure
import org.edgekit.core.Format
import org.edgekit.core.Manifest
import org.edgekit.core.ModelRunner
import org.edgekit.core.Runtime
import org.edgekit.core.Tensor
import org.pytorch.executorch.DType as EtType
import org.pytorch.executorch.EValue
import org.pytorch.executorch.ExecutorchRuntimeException
import org.pytorch.executorch.Module
import org.pytorch.executorch.Tensor as EtTensor

/**
 * Runs .pte artifacts. Its calls are those that ExecuTorch's Java classes (to 1.3) and its Kotlin ones (from 1.4) share.
 *
 * @property version ExecuTorch does not know its own; the build tells it, see AndroidManifest.xml
 */
class ExecuTorchRuntime(override val version: String?, private val threads: Int) : Runtime {
    override val format = Format.PTE
    override val name = "executorch"

    override fun load(bundle: Bundle, artifact: Artifact): ModelRunner {
        try {
            val module = Module.load(bundle.file(artifact).path, Module.LOAD_MODE_MMAP, threads)
            // Else the first inference would load it; what that costs is to be told apart.
            module.loadMethod("forward")
            return ExecuTorchRunner(module, artifact, bundle.manifest, "ExecuTorch ${version ?: "of unknown version"} XNNPACK", threads)
        } catch (error: ExecutorchRuntimeException) {
            throw failed(artifact, explain(error), error)
        } catch (error: RuntimeException) {
            throw failed(artifact, error.message ?: error.toString(), error)
        } catch (error: LinkageError) {
            throw failed(artifact, "the library of ExecuTorch is not in this app, or not for this processor", error)
        }
    }

    private fun failed(artifact: Artifact, reason: String, cause: Throwable) =
        Failure(Code.LOAD_FAILED, "file" to artifact.file, "reason" to reason, "needs" to artifact.needs, cause = cause)
}

/** What the runtime's codes mean to a person; their names are in executorch/runtime/core/error.h. */
private fun explain(error: ExecutorchRuntimeException): String {
    val meaning = when (error.errorCode) {
        ExecutorchRuntimeException.NOT_SUPPORTED -> "the inputs have a shape or type that the program was not built for"
        ExecutorchRuntimeException.INVALID_ARGUMENT -> "the program does not accept these inputs"
        ExecutorchRuntimeException.OPERATOR_MISSING -> "an operator is missing from the runtime in this app"
        ExecutorchRuntimeException.NOT_FOUND -> "a backend is missing from the runtime in this app"
        ExecutorchRuntimeException.MEMORY_ALLOCATION_FAILED -> "there is not enough memory"
        ExecutorchRuntimeException.ACCESS_FAILED -> "the file cannot be read"
        ExecutorchRuntimeException.INVALID_PROGRAM -> "the file is no program that this runtime reads"
        ExecutorchRuntimeException.DELEGATE_INVALID_COMPATIBILITY -> "a backend of this runtime does not read what was made for it"
        else -> error.message ?: "no reason was given"
    }
    return "$meaning (code 0x${error.errorCode.toString(16)})"
}

private class ExecuTorchRunner(
    private val module: Module,
    private val artifact: Artifact,
    private val manifest: Manifest,
    override val kernels: String,
    override val threads: Int,
) : ModelRunner {
    /** As the file says: ExecuTorch refuses to load a delegate that it lacks, and tells nothing of its nodes. */
    override val provider get() = artifact.delegates.joinToString().ifEmpty { "portable kernels" }

    override fun run(inputs: List<Tensor>): List<Tensor> {
        try {
            val found = module.forward(*Array(inputs.size) { EValue.from(theirs(inputs[it])) })
            return manifest.outputs.mapIndexed { i, spec ->
                val value = found.getOrNull(i)?.takeIf { it.isTensor } ?: throw failed("it has no output ${spec.name}", null)
                ours(spec.name, value.toTensor())
            }
        } catch (error: ExecutorchRuntimeException) {
            throw failed(explain(error), error)
        } catch (error: RuntimeException) {
            throw failed(error.message ?: error.toString(), error)
        }
    }

    private fun theirs(tensor: Tensor): EtTensor {
        val shape = LongArray(tensor.shape.size) { tensor.shape[it].toLong() }
        val data = tensor.data
        return when (tensor.dtype) {
            DType.FLOAT32 -> EtTensor.fromBlob(tensor.floats(), shape)
            DType.FLOAT16 -> EtTensor.fromBlob(ShortArray(tensor.size).also { data.asShortBuffer().get(it) }, shape)
            DType.INT64 -> EtTensor.fromBlob(LongArray(tensor.size).also { data.asLongBuffer().get(it) }, shape)
            DType.INT32 -> EtTensor.fromBlob(IntArray(tensor.size).also { data.asIntBuffer().get(it) }, shape)
            DType.UINT8 -> EtTensor.fromBlobUnsigned(tensor.bytes(), shape)
            DType.INT8 -> EtTensor.fromBlob(tensor.bytes(), shape)
            DType.BOOL -> throw failed("ExecuTorch's Android library takes no bool inputs", null)
        }
    }

    private fun ours(name: String, tensor: EtTensor): Tensor {
        val shape = tensor.shape().let { sizes -> IntArray(sizes.size) { sizes[it].toInt() } }
        fun raw(bytes: Int, fill: (ByteBuffer) -> Unit) =
            ByteBuffer.allocate(bytes).order(ByteOrder.LITTLE_ENDIAN).also(fill).array()
        return when (val type = tensor.dtype()) {
            EtType.FLOAT -> Tensor.of(name, shape, tensor.dataAsFloatArray)
            EtType.HALF -> tensor.dataAsShortArray.let { values ->
                Tensor(name, DType.FLOAT16, shape, raw(2 * values.size) { it.asShortBuffer().put(values) })
            }
            EtType.INT64 -> tensor.dataAsLongArray.let { values ->
                Tensor(name, DType.INT64, shape, raw(8 * values.size) { it.asLongBuffer().put(values) })
            }
            EtType.INT32 -> tensor.dataAsIntArray.let { values ->
                Tensor(name, DType.INT32, shape, raw(4 * values.size) { it.asIntBuffer().put(values) })
            }
            EtType.UINT8 -> Tensor(name, DType.UINT8, shape, tensor.dataAsUnsignedByteArray)
            EtType.INT8 -> Tensor(name, DType.INT8, shape, tensor.dataAsByteArray)
            else -> throw failed("output $name is of type $type", null)
        }
    }

    private fun failed(reason: String, cause: Throwable?) =
        Failure(Code.RUN_FAILED, "file" to artifact.file, "reason" to reason, cause = cause)

    override fun close() = module.destroy()
}
