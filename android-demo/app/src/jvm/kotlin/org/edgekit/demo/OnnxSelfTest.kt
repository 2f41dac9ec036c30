package org.edgekit.demo

import java.io.File
import java.io.FileNotFoundException
import java.nio.ByteBuffer
import java.nio.ByteOrder
import java.nio.file.Path
import kotlinx.serialization.json.Json
import kotlinx.serialization.json.jsonArray
import kotlinx.serialization.json.jsonObject
import kotlinx.serialization.json.jsonPrimitive
import org.edgekit.core.Bundle
import org.edgekit.core.Choice
import org.edgekit.core.Code
import org.edgekit.core.Device
import org.edgekit.core.Failure
import org.edgekit.core.Format
import org.edgekit.core.Manifest
import org.edgekit.core.Outcome
import org.edgekit.core.Picture
import org.edgekit.core.Predictor
import org.edgekit.core.SelfTest
import org.edgekit.core.Status
import org.edgekit.core.Timing
import org.edgekit.core.open
import org.edgekit.core.sha256
import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Assertions.assertFalse
import org.junit.jupiter.api.Assertions.assertThrows
import org.junit.jupiter.api.Assertions.assertTrue
import org.junit.jupiter.api.Test
import org.junit.jupiter.api.io.TempDir

/**
 * The ONNX path for real: a bundle that `edgekit build --target android-arm64` wrote, the app's own runner, its
 * preprocessing and its self-test, on the library of ONNX Runtime for this machine.
 */
class OnnxSelfTest {
    @TempDir
    lateinit var temporary: Path

    private val device = Device("Test bench", "", "Linux", "x86_64")
    private val runtimes = listOf(OnnxRuntime(threads = 1))
    private val built = File(System.getProperty("edgekit.bundles"), "android-arm64")

    @Test
    fun `what was built passes`() {
        val results = File(System.getProperty("edgekit.out"), "selftest")
        val outcome = test(copy(), results)
        assertTrue(outcome.passed) { "${outcome.failure?.message} ${outcome.artifacts.map { it.reason }}" }
        val (pte, onnx) = listOf(Format.PTE, Format.ONNX).map { format -> outcome.artifacts.single { it.artifact.format == format } }
        assertEquals(Status.SKIPPED, pte.status)
        assertEquals(Code.NO_RUNTIME, pte.failure?.code)
        assertEquals(listOf("device", "total"), onnx.legs.map { it.leg })
        assertEquals(20, onnx.latency?.sorted?.size)
        assertEquals("CPUExecutionProvider", onnx.provider)
        assertEquals(setOf("CPUExecutionProvider"), onnx.nodes?.map { it.provider }?.toSet())
        assertTrue(onnx.nodes!!.size > 10 && onnx.elsewhere.isEmpty())
        for (leg in onnx.legs) assertTrue(leg.limits.isNotEmpty() || leg.leg == "device")
        // The exact kernels compute what the host's did: far nearer than the tolerance, which allows for float rounding.
        assertTrue(onnx.legs[0].worstShare!! < 0.5) { "${onnx.legs[0]}" }
        val written = Json.parseToJsonElement(File(results, "selftest.json").readText()).jsonObject
        assertEquals("passed", written.getValue("verdict").jsonPrimitive.content)
        assertEquals("cpu", written.getValue("chip").jsonPrimitive.content)
        assertEquals(2, written.getValue("artifacts").jsonArray.size)
        assertTrue(File(results, "model.onnx.npz").isFile && !File(results, "model.pte.npz").exists())
    }

    /** As on the phone: assets as `edgekit drop` lays them out, copied to the app's files. */
    @Test
    fun `a dropped bundle is installed, and what was there before is removed`() {
        val (assets, files) = drop(copy()) to File(temporary.toFile(), "files").apply { mkdirs() }
        File(files, "0123456789abcdef/model.pte").apply { parentFile.mkdirs() }.writeText("an older one")
        val installed = Bundle.install(assets(assets), files)
        assertTrue(test({ installed }).passed)
        assertEquals(listOf(installed.folder), files.listFiles()!!.toList())
        val model = File(installed.folder, "model.onnx")
        model.writeText("cut off")
        Bundle.install(assets(assets), files)
        assertEquals(installed.manifest.artifacts.first { it.format == Format.ONNX }.sha256, model.inputStream().use(::sha256))
    }

    @Test
    fun `an app without a bundle says so`() {
        val nothing = { path: String -> throw FileNotFoundException(path) }
        val failure = assertThrows(Failure::class.java) { Bundle.install(nothing, temporary.toFile()) }
        assertEquals(Code.NO_BUNDLE, failure.code)
        assertTrue("edgekit drop android-demo" in failure.action)
        val outcome = test({ Bundle.install(nothing, temporary.toFile()) })
        assertEquals(Code.NO_BUNDLE, outcome.failure?.code)
        assertFalse(outcome.passed)
    }

    @Test
    fun `one byte changed is refused before anything is loaded`() {
        for (path in listOf("model.onnx", "golden/0.logits.reference.bin")) {
            val folder = copy().resolve(path).let { file ->
                file.writeBytes(file.readBytes().also { it[it.size / 2] = (it[it.size / 2] + 1).toByte() })
                file.path.removeSuffix(path).let(::File)
            }
            val outcome = test(folder)
            assertEquals(Code.WRONG_SHA256, outcome.failure?.code)
            assertTrue(path in outcome.failure!!.says && outcome.artifacts.isEmpty())
        }
        val assets = drop(copy())
        val asset = assets.walk().first { it.name == "model.onnx" }
        asset.writeBytes(asset.readBytes().also { it[100] = (it[100] + 1).toByte() })
        val failure = assertThrows(Failure::class.java) { Bundle.install(assets(assets), File(temporary.toFile(), "b")) }
        assertEquals(Code.WRONG_SHA256, failure.code)
    }

    @Test
    fun `a missing file is named`() {
        val folder = copy().also { File(it, "model.pte").delete() }
        val outcome = test(folder)
        assertEquals(Code.MISSING_FILE, outcome.failure?.code)
        assertTrue("model.pte" in outcome.failure!!.says)
    }

    /** Only the values are wrong, every sha256 is right: the comparison itself must see it. */
    @Test
    fun `other golden outputs fail`() {
        val folder = perturbed(copy(), "golden/2.logits.model.onnx.bin") { values ->
            values[0] += 3f
            values
        }
        val outcome = test(folder)
        assertFalse(outcome.passed)
        val onnx = outcome.artifacts.single { it.artifact.format == Format.ONNX }
        assertEquals(Status.FAILED, onnx.status)
        assertTrue("leg device" in onnx.reason!!) { "${onnx.reason}" }
        assertFalse(onnx.legs.single { it.leg == "device" }.within)
        assertTrue(onnx.legs.single { it.leg == "total" }.passed)
    }

    @Test
    fun `another float reference fails`() {
        val outcome = test(perturbed(copy(), "golden/1.logits.reference.bin") { it.reversedArray() })
        val onnx = outcome.artifacts.single { it.artifact.format == Format.ONNX }
        assertFalse(onnx.legs.single { it.leg == "total" }.within)
        assertEquals(Status.FAILED, onnx.status)
    }

    @Test
    fun `an older runtime is not tried`() {
        val folder = edited(copy()) { it.replace(MINIMUM, "\"minimum_runtime\": \"onnxruntime 99.0.0\"") }
        val onnx = test(folder).artifacts.single { it.artifact.format == Format.ONNX }
        assertEquals(Code.RUNTIME_TOO_OLD, onnx.failure?.code)
        assertTrue("onnxruntime 99.0.0" in onnx.reason!!)
    }

    @Test
    fun `a file that is no model fails in words`() {
        val folder = copy()
        val file = File(folder, "model.onnx")
        val was = file.inputStream().use(::sha256)
        file.writeText("this is no protobuf")
        val damaged = edited(folder) { it.replace(was, file.inputStream().use(::sha256)) }
        val onnx = test(damaged).artifacts.single { it.artifact.format == Format.ONNX }
        assertEquals(Code.LOAD_FAILED, onnx.failure?.code)
        assertTrue("CPUExecutionProvider" in onnx.failure!!.action)
    }

    /** A picture as a finger would draw it, through preprocessing, model and softmax. */
    @Test
    fun `a drawn one is a one`() {
        val bundle = Bundle.read(copy())
        val size = 280
        val bytes = ByteArray(size * size) { i -> if (i % size in 125..155 && i / size in 40..240) -1 else 0 }
        val artifact = bundle.manifest.artifacts.single { it.format == Format.ONNX }
        Predictor(bundle.manifest, runtimes.open(bundle, artifact)).use { predictor ->
            val answer = predictor.run(Picture(size, size, 1, bytes))
            assertEquals("1", answer.classes[0].label)
            assertEquals(1.0, answer.classes.sumOf { it.probability }, 1e-9)
        }
    }

    private fun test(folder: File, results: File = File(temporary.toFile(), "results")) = test({ Bundle.read(folder) }, results)

    private fun test(open: () -> Bundle, results: File = File(temporary.toFile(), "results")): Outcome =
        SelfTest(runtimes, device, results, Timing(warmUp = 2, runs = 20)).run({ Choice(open()) })

    private var copies = 0

    private fun copy(): File {
        val folder = File(temporary.toFile(), "bundle${copies++}")
        check(built.copyRecursively(folder)) { "there is no bundle in $built" }
        if (System.getProperty("edgekit.jvm.other").toBoolean()) {
            // The library for the JVM is not of the pinned version, for there is none: the file itself decides whether
            // it loads. That an older runtime is refused has a test of its own.
            edited(folder) { it.replace(MINIMUM, "\"minimum_runtime\": \"onnxruntime 1.0.0\"") }
        }
        return folder
    }

    private fun edited(folder: File, edit: (String) -> String): File {
        val manifest = File(folder, "manifest.json")
        val before = manifest.readText()
        val after = edit(before)
        check(before != after) { "the edit changed nothing" }
        manifest.writeText(after)
        return folder
    }

    private fun perturbed(folder: File, path: String, change: (FloatArray) -> FloatArray): File {
        val file = File(folder, path)
        val was = file.inputStream().use(::sha256)
        val buffer = ByteBuffer.wrap(file.readBytes()).order(ByteOrder.LITTLE_ENDIAN).asFloatBuffer()
        val values = change(FloatArray(buffer.remaining()).also { buffer.get(it) })
        val bytes = ByteBuffer.allocate(4 * values.size).order(ByteOrder.LITTLE_ENDIAN)
        bytes.asFloatBuffer().put(values)
        file.writeBytes(bytes.array())
        return edited(folder) { it.replace(was, file.inputStream().use(::sha256)) }
    }

    /** Lays a bundle out as `edgekit drop` does. */
    private fun drop(folder: File): File {
        val manifest = File(folder, "manifest.json")
        val sha256 = manifest.inputStream().use(::sha256)
        val assets = File(temporary.toFile(), "assets${copies++}")
        val name = sha256.take(16)
        File(assets, name).mkdirs()
        manifest.copyTo(File(assets, "$name/manifest.json"))
        val paths = Manifest.parse(manifest.readText()).let { it.artifacts.map { a -> a.file } } + "golden"
        for (path in paths) File(folder, path).copyRecursively(File(assets, "$name/$path"))
        File(assets, "bundle.json").writeText("""{"version": 1, "folder": "$name", "manifest_sha256": "$sha256"}""")
        return assets
    }

    private fun assets(folder: File) = { path: String -> File(folder, path).inputStream() }

    private companion object {
        val MINIMUM = Regex("\"minimum_runtime\": \"onnxruntime [^\"]*\"")
    }
}
