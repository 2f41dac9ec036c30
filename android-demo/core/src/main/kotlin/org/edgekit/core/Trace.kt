package org.edgekit.core

import java.io.File
import java.nio.ByteBuffer
import java.nio.ByteOrder
import java.util.zip.ZipEntry
import java.util.zip.ZipOutputStream
import kotlinx.serialization.json.buildJsonObject
import kotlinx.serialization.json.put
import kotlinx.serialization.json.putJsonObject

/** The device that ran, in its maker's words. */
data class Device(val name: String, val soc: String, val os: String, val cpu: String) {
    /** Name and chip together. */
    val full get() = if (soc.isEmpty()) name else "$name ($soc)"
}

/** Writes what this device computed as the SDK reads it (`edgekit/data/trace.py`): numpy's .npz, no pickles. */
object Trace {
    /** The leg `device` of `edgekit compare`. */
    fun write(
        file: File,
        inputs: List<List<Tensor>>,
        outputs: List<List<Tensor>>,
        labels: LongArray?,
        origin: String,
    ) = writing(file.name) {
        file.outputStream().buffered().use { stream ->
            ZipOutputStream(stream).use { zip ->
                for (i in inputs[0].indices) stacked(zip, "input", inputs.map { it[i] })
                for (i in outputs[0].indices) stacked(zip, "output", outputs.map { it[i] })
                labels?.let { array(zip, "labels", "<i8", listOf(it.size), longs(it)) }
                val text = origin.encodeToByteArray()
                array(zip, "origin", "|u1", listOf(text.size), text)
            }
        }
    }

    /** Where the outputs were computed: the fields of the SDK's `Origin`. */
    fun origin(manifest: Manifest, artifact: Artifact, device: Device, runner: ModelRunner, versions: List<Pair<String, String?>>): String =
        buildJsonObject {
            put("version", 1)
            put("program", "device")
            put("device", "cpu")
            put("device_name", device.full)
            put("dtype", if (artifact.quantization == "float") "float32" else artifact.quantization)
            put("tf32", false)
            put("kernels", runner.kernels)
            put("kernels_of", device.cpu)
            putJsonObject("versions") {
                for ((name, version) in versions) put(name, version ?: "unknown")
                put("os", device.os)
            }
            put("model", manifest.weightsSha256)
            put("samples", "")
            put("artifact", artifact.file)
            put("artifact_sha256", artifact.sha256)
            put("chip", manifest.chip)
            put("provider", runner.provider)
        }.toString()

    private fun stacked(zip: ZipOutputStream, kind: String, samples: List<Tensor>) {
        val first = samples[0]
        // A sample is a batch of one: stacked, the first axis counts the samples.
        val shape = listOf(samples.size * first.shape[0]) + first.shape.drop(1)
        val bytes = ByteBuffer.allocate(samples.sumOf { it.size * it.dtype.bytes })
        for (sample in samples) bytes.put(sample.data)
        array(zip, "$kind.${first.name}", first.dtype.numpy, shape, bytes.array())
    }

    private fun longs(values: LongArray): ByteArray {
        val bytes = ByteBuffer.allocate(8 * values.size).order(ByteOrder.LITTLE_ENDIAN)
        bytes.asLongBuffer().put(values)
        return bytes.array()
    }

    /** One `.npy` of format version 1.0: magic, length of the header, header padded to 64 bytes, values. */
    private fun array(zip: ZipOutputStream, name: String, type: String, shape: List<Int>, bytes: ByteArray) {
        zip.putNextEntry(ZipEntry("$name.npy"))
        val sizes = shape.joinToString(", ", "(", if (shape.size == 1) ",)" else ")")
        val header = "{'descr': '$type', 'fortran_order': False, 'shape': $sizes, }"
        val padded = header.padEnd((10 + header.length + 1 + 63) / 64 * 64 - 10 - 1) + "\n"
        zip.write(byteArrayOf(0x93.toByte()) + "NUMPY".encodeToByteArray() + byteArrayOf(1, 0))
        zip.write(byteArrayOf((padded.length and 0xff).toByte(), (padded.length shr 8).toByte()))
        zip.write(padded.encodeToByteArray())
        zip.write(bytes)
        zip.closeEntry()
    }
}
