package org.edgekit.core

import java.nio.ByteBuffer
import java.nio.ByteOrder
import kotlin.math.pow

/** Named numbers of one type and shape; raw little-endian, in C order, as in the bundle's files. */
class Tensor(val name: String, val dtype: DType, val shape: IntArray, bytes: ByteArray) {
    /** The values; a view of its own for each caller. */
    val data: ByteBuffer get() = held.duplicate().order(ByteOrder.LITTLE_ENDIAN)

    /** Number of elements. */
    val size: Int = shape.fold(1) { product, n -> Math.multiplyExact(product, n) }

    /** Type and shape in words. */
    val words: String get() = "${dtype.name.lowercase()} ${shape.joinToString("x")}"

    private val held = ByteBuffer.wrap(bytes)

    init {
        require(bytes.size == size * dtype.bytes) { "${bytes.size} bytes for $words" }
    }

    /** The raw bytes. */
    fun bytes(): ByteArray = ByteArray(held.capacity()).also { data.get(it) }

    /** The values as doubles, which hold all of them but for very large int64 exactly. */
    fun doubles(): DoubleArray = data.let { from ->
        DoubleArray(size) { i ->
            when (dtype) {
                DType.FLOAT32 -> from.getFloat(4 * i).toDouble()
                DType.FLOAT16 -> half(from.getShort(2 * i).toInt())
                DType.INT64 -> from.getLong(8 * i).toDouble()
                DType.INT32 -> from.getInt(4 * i).toDouble()
                DType.UINT8 -> (from.get(i).toInt() and 0xff).toDouble()
                DType.INT8, DType.BOOL -> from.get(i).toDouble()
            }
        }
    }

    /** The values of a float32 tensor. */
    fun floats(): FloatArray = FloatArray(size).also { data.asFloatBuffer().get(it) }

    companion object {
        /** A float32 tensor. */
        fun of(name: String, shape: IntArray, values: FloatArray): Tensor {
            val bytes = ByteBuffer.allocate(4 * values.size).order(ByteOrder.LITTLE_ENDIAN)
            bytes.asFloatBuffer().put(values)
            return Tensor(name, DType.FLOAT32, shape, bytes.array())
        }

        private fun half(bits: Int): Double {
            val sign = if (bits and 0x8000 != 0) -1.0 else 1.0
            val (exponent, fraction) = (bits shr 10 and 0x1f) to (bits and 0x3ff)
            return sign * when (exponent) {
                0 -> fraction * 2.0.pow(-24)
                31 -> if (fraction == 0) Double.POSITIVE_INFINITY else Double.NaN
                else -> (1024 + fraction) * 2.0.pow(exponent - 25)
            }
        }
    }
}
