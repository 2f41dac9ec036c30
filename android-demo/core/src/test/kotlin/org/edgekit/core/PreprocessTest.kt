package org.edgekit.core

import kotlin.math.abs
import kotlinx.serialization.json.JsonObject
import org.junit.jupiter.api.Assertions.assertArrayEquals
import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Assertions.assertNotEquals
import org.junit.jupiter.api.Assertions.assertTrue
import org.junit.jupiter.api.DynamicTest
import org.junit.jupiter.api.Test
import org.junit.jupiter.api.TestFactory

class PreprocessTest {
    private val cases = Vectors.cases("preprocessing")

    /** Every picture becomes the SDK's numbers, to one unit in the last place. */
    @TestFactory
    fun parity(): List<DynamicTest> = cases.map { case ->
        DynamicTest.dynamicTest(case.name) {
            val found = Preprocess.tensor(picture(case), "image", spec(case))
            val file = "preprocessing/" + case.obj("expected").text("file")
            assertArrayEquals(case.obj("expected").ints("shape"), found.shape)
            assertEquals(case.obj("expected").text("dtype"), found.dtype.name.lowercase())
            if (found.dtype == DType.UINT8) {
                assertArrayEquals(Vectors.bytes(file), found.bytes())
                return@dynamicTest
            }
            val expected = Vectors.floats(file)
            found.floats().forEachIndexed { i, value ->
                assertTrue(abs(value - expected[i]) <= Math.ulp(expected[i])) { "element $i: $value, not ${expected[i]}" }
            }
        }
    }

    @Test
    fun `there are a hundred pictures at least`() = assertTrue(cases.size >= 100)

    /** The twin that must fail: another filter gives other numbers. */
    @Test
    fun `another filter is noticed`() {
        val case = cases.first { it.name.contains("40x30x3 stretch bilinear") }
        val spec = spec(case)
        val other = Preprocess.tensor(picture(case), "image", spec.copy(resize = spec.resize.copy(filter = "bicubic")))
        val expected = Vectors.floats("preprocessing/" + case.obj("expected").text("file"))
        assertNotEquals(expected.toList(), other.floats().toList())
    }

    /** A golden input can be shown to a person again: undone and done, it is the same input. */
    @Test
    fun `an input turns back into its picture`() {
        val case = cases.first { it.name.contains("stretch bilinear to 12x20 bgr") }
        val spec = spec(case).copy(scale = 1 / 255.0)
        val input = Preprocess.tensor(picture(case), "image", spec)
        val again = Preprocess.tensor(Preprocess.undone(input, spec), "image", spec)
        assertEquals(input.floats().toList(), again.floats().toList())
    }

    /** Bytes that the model itself normalises can be shown, too. */
    @Test
    fun `an input of bytes turns back into its picture`() {
        val case = cases.first { it.name.contains("bgr uint8") }
        val input = Preprocess.tensor(picture(case), "image", spec(case))
        val plain = spec(case).copy(resize = spec(case).resize.copy(mode = "stretch"))
        assertEquals(DType.UINT8, input.dtype)
        assertArrayEquals(input.bytes(), Preprocess.tensor(Preprocess.undone(input, spec(case)), "image", plain).bytes())
    }

    private fun picture(case: JsonObject) = case.obj("picture").let {
        Picture(it.int("width"), it.int("height"), it.int("channels"), Vectors.bytes("preprocessing/" + it.text("file")), it.int("orientation"))
    }

    private fun spec(case: JsonObject) = Manifest.preprocessing(Node(case.getValue("preprocessing"), "preprocessing"))
}
