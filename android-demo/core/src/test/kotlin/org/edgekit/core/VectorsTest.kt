package org.edgekit.core

import java.io.File
import kotlin.math.abs
import kotlin.math.max
import kotlinx.serialization.json.JsonNull
import kotlinx.serialization.json.boolean
import kotlinx.serialization.json.double
import kotlinx.serialization.json.jsonArray
import kotlinx.serialization.json.jsonObject
import kotlinx.serialization.json.jsonPrimitive
import kotlinx.serialization.json.long
import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Assertions.assertThrows
import org.junit.jupiter.api.Assertions.assertTrue
import org.junit.jupiter.api.DynamicTest
import org.junit.jupiter.api.Test
import org.junit.jupiter.api.TestFactory

/** What the app computes and says, against what the SDK computes and all apps say. */
class VectorsTest {
    @TestFactory
    fun metrics(): List<DynamicTest> = Vectors.cases("metrics").map { case ->
        DynamicTest.dynamicTest(case.name) {
            fun values(key: String) = Vectors.floats("metrics/" + case.obj(key).text("file")).map { it.toDouble() }.toDoubleArray()
            val labels = case.getValue("labels").takeIf { it !is JsonNull }?.jsonArray?.map { it.jsonPrimitive.long }?.toLongArray()
            val logits = case.getValue("logits").jsonPrimitive.boolean
            val found = Metrics.measure(values("reference"), values("candidate"), case.obj("reference").ints("shape"), logits, labels).byName
            val expected = case.obj("expected").doubles()
            assertTrue(expected.size >= 5)
            for ((name, value) in expected) {
                assertTrue(name in found.keys) { "$name is not computed" }
                assertNear(value, found.getValue(name), name)
            }
        }
    }

    @TestFactory
    fun classes(): List<DynamicTest> = Vectors.cases("classes").map { case ->
        DynamicTest.dynamicTest(case.name) {
            val logits = case.getValue("logits").jsonArray.map { it.jsonPrimitive.double }.toDoubleArray()
            val labels = case.getValue("labels").jsonArray.map { it.jsonPrimitive.content }
            val expected = case.getValue("expected").jsonArray.map { it.jsonArray }
            val found = classes(logits, labels)
            assertEquals(expected.map { it[0].jsonPrimitive.content }, found.map { it.label })
            expected.zip(found).forEach { (want, got) -> assertNear(want[1].jsonPrimitive.double, got.probability, got.label) }
        }
    }

    @TestFactory
    fun limits(): List<DynamicTest> = Vectors.cases("limits").map { case ->
        DynamicTest.dynamicTest(case.name) {
            val limits = Manifest.limits(Node(case.getValue("limits"), "limits"))
            val found = Limits.judge(limits, case.obj("device").doubles(), case.obj("host").doubles())
            val expected = case.getValue("expected").jsonArray.map { it.jsonObject }
            assertEquals(expected.map { it.text("limit") }, found.map { it.limit })
            for ((want, got) in expected.zip(found)) {
                assertEquals(want.text("metric"), got.metric)
                assertEquals(want.text("result"), got.result.name.lowercase(), got.limit)
                assertNear(want.doublesOf("value"), got.value, got.limit)
            }
        }
    }

    @TestFactory
    fun `manifests that builds write`(): List<DynamicTest> = files("manifests/valid").map { file ->
        DynamicTest.dynamicTest(file.name) {
            val manifest = Manifest.parse(file.readText())
            assertTrue(manifest.artifacts.isNotEmpty() && manifest.budget.limits("total", "").isNotEmpty())
        }
    }

    @Test
    fun `the limits of an output go before those for all`() {
        val budget = Manifest.parse(File(Vectors.folder, "manifests/valid/two-inputs-two-outputs.json").readText()).budget
        assertEquals(10.0, budget.limits("total", "score")["min_sqnr_db"])
        assertEquals(30.0, budget.limits("total", "embedding")["min_sqnr_db"])
        assertEquals(budget.limits("device", "embedding"), budget.limits("device", "score"))
    }

    @TestFactory
    fun `manifests that are refused`(): List<DynamicTest> = Vectors.json("manifests/invalid.json").jsonObject.map { (file, code) ->
        DynamicTest.dynamicTest(file) {
            val text = File(Vectors.folder, "manifests/invalid/$file").readText()
            val failure = assertThrows(Failure::class.java) { Manifest.parse(text) }
            assertEquals(code.jsonPrimitive.content, failure.code.id)
        }
    }

    /** Both apps say the same of the same failure. */
    @Test
    fun words() {
        val expected = Vectors.json("words.json").jsonObject.mapValues { (_, words) -> words.jsonObject.text("says") to words.jsonObject.text("do") }
        assertEquals(expected, Code.entries.associate { it.id to (it.says to it.action) })
    }

    @Test
    fun `a failure fills its words`() {
        val failure = Failure(Code.RUNTIME_TOO_OLD, "file" to "model.pte", "needed" to "executorch 1.5.1", "found" to "executorch 1.4.0")
        assertEquals("model.pte needs executorch 1.5.1; this app has executorch 1.4.0.", failure.says)
        assertEquals("Run edgekit drop android-demo, which sets the version, and build the app again.", failure.action)
    }

    @Test
    fun `a fault names its place`() {
        val text = File(Vectors.folder, "manifests/invalid/bytes-are-text.json").readText()
        val failure = assertThrows(Failure::class.java) { Manifest.parse(text) }
        assertTrue("artifacts.0.bytes" in failure.says) { failure.says }
    }

    @Test
    fun `versions are compared by their numbers`() {
        assertTrue(older("1.9.0", "1.10.0") && older("1.5", "1.5.1") && older("1.5.0rc1", "1.5.1"))
        assertTrue(!older("1.5.1", "1.5.1") && !older("1.32.0+cpu", "1.31.9") && !older("2.0", "1.9.9"))
    }

    /** numpy.percentile([1, 2, 4, 8], [50, 90, 95]) */
    @Test
    fun percentiles() {
        val sorted = doubleArrayOf(1.0, 2.0, 4.0, 8.0)
        assertEquals(listOf(3.0, 6.8, 7.4), listOf(0.5, 0.9, 0.95).map { Math.round(percentile(sorted, it) * 1e9) / 1e9 })
    }

    @Test
    fun `half precision is read`() {
        val bits = intArrayOf(0x3c00, 0xc000, 0x0001, 0x7bff, 0x7c00)
        val bytes = bits.flatMap { listOf(it.toByte(), (it shr 8).toByte()) }.toByteArray()
        val expected = listOf(1.0, -2.0, 5.960464477539063e-08, 65504.0, Double.POSITIVE_INFINITY)
        assertEquals(expected, Tensor("x", DType.FLOAT16, intArrayOf(5), bytes).doubles().toList())
    }

    private fun files(path: String) = File(Vectors.folder, path).listFiles().orEmpty().sortedBy { it.name }.also { assertTrue(it.isNotEmpty()) }

    private fun kotlinx.serialization.json.JsonObject.doublesOf(key: String) =
        getValue(key).let { if (it is JsonNull) null else it.jsonPrimitive.double }

    /** To 1e-9 of the value; what cancels to nothing but rounding is held to 1e-12. */
    private fun assertNear(expected: Double?, found: Double?, name: String) {
        if (expected == null || found == null) return assertEquals(expected, found, name)
        assertTrue(abs(found - expected) <= max(1e-12, 1e-9 * abs(expected))) { "$name: $found, not $expected" }
    }
}
