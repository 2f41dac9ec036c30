package org.edgekit.core

import kotlin.math.abs
import kotlin.math.max
import kotlinx.serialization.json.JsonObject
import org.junit.jupiter.api.Assertions.assertArrayEquals
import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Assertions.assertTrue
import org.junit.jupiter.api.DynamicTest
import org.junit.jupiter.api.Test
import org.junit.jupiter.api.TestFactory

class SoundTest {
    private val cases = Vectors.cases("sounds")

    /** Every sound becomes the SDK's numbers, to 1e-6 of the largest. */
    @TestFactory
    fun parity(): List<DynamicTest> = cases.map { case ->
        DynamicTest.dynamicTest(case.name) {
            val found = found(case, audio(case))
            assertArrayEquals(intArrayOf(1) + case.obj("expected").ints("shape"), found.shape)
            assertTrue(farthest(case, found) <= 1e-6) { "${farthest(case, found)}" }
        }
    }

    /** The twin that must fail: magnitudes are not power. */
    @Test
    fun `another power is noticed`() {
        val case = cases.first { it.name.startsWith("whisper") }
        val audio = audio(case)
        assertTrue(farthest(case, found(case, audio.copy(features = audio.features!!.copy(power = 1)))) > 0.01)
    }

    /** A sound of a second and a half at a microphone's rate, as nothing but silence: cut off, and without an end. */
    @Test
    fun `silence stays silence`() {
        val audio = Audio(16000, 16000, null)
        val input = TensorSpec("sound", DType.FLOAT32, listOf(Dimension(null, "batch"), Dimension(16000, null)), "tensor")
        val found = Sound.tensor(FloatArray(66150), 44100, input, audio)
        assertArrayEquals(intArrayOf(1, 16000), found.shape)
        assertTrue(found.floats().all { it == 0f })
        assertEquals(48000, Sound.resampled(FloatArray(66150), 44100, 32000).size)
    }

    /** What an app calls: shapes from the manifest, labels behind. */
    @Test
    fun `a sound is answered`() {
        fun manifest(name: String) = Manifest.parse(java.io.File(Vectors.folder, "manifests/valid/$name.json").readText())
        val given = mutableListOf<Tensor>()
        val runner = object : ModelRunner {
            override val kernels = "none"
            override val provider = "none"
            override val threads = 1
            override fun run(inputs: List<Tensor>) = listOf(Tensor.of("logits", intArrayOf(1, 10), FloatArray(10) { it.toFloat() })).also { given += inputs }
            override fun close() = Unit
        }
        val answer = Predictor(manifest("sound"), runner).run(FloatArray(44100), 44100)
        assertArrayEquals(intArrayOf(1, 1, 80, 25), given.single().shape)
        assertEquals(10, answer.classes.size)
        for (other in listOf(manifest("classifier"), manifest("sound").copy(audio = Audio(16000, 800, null)))) {
            val failure = org.junit.jupiter.api.Assertions.assertThrows(Failure::class.java) { Predictor(other, runner).run(FloatArray(9), 8000) }
            assertEquals(Code.NO_SOUND_INPUT, failure.code)
        }
    }

    private fun audio(case: JsonObject) = Audio.of(Node(case.getValue("audio"), "audio"))

    private fun found(case: JsonObject, audio: Audio): Tensor {
        val sizes = listOf(Dimension(null, "batch")) + case.obj("expected").ints("shape").map { Dimension(it, null) }
        val samples = case.obj("samples")
        val input = TensorSpec("sound", DType.FLOAT32, sizes, "tensor")
        return Sound.tensor(Vectors.floats("sounds/" + samples.text("file")), samples.int("rate"), input, audio)
    }

    private fun farthest(case: JsonObject, found: Tensor): Double {
        val expected = Vectors.floats("sounds/" + case.obj("expected").text("file"))
        assertEquals(expected.size, found.size)
        val values = found.floats()
        val largest = expected.fold(1f) { most, value -> max(most, abs(value)) }
        return values.indices.maxOf { abs(values[it] - expected[it]).toDouble() } / largest
    }
}
