package org.edgekit.demo

import java.io.File
import java.nio.ByteBuffer
import java.nio.ByteOrder
import java.nio.file.Path
import kotlinx.serialization.json.Json
import kotlinx.serialization.json.jsonArray
import kotlinx.serialization.json.jsonObject
import kotlinx.serialization.json.jsonPrimitive
import org.edgekit.core.Bundle
import org.edgekit.core.Choice
import org.edgekit.core.Device
import org.edgekit.core.Format
import org.edgekit.core.Runtime
import org.edgekit.core.SelfTest
import org.edgekit.core.Timing
import org.edgekit.core.sha256
import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Assertions.assertTrue
import org.junit.jupiter.api.Assumptions.assumeTrue
import org.junit.jupiter.api.Test
import org.junit.jupiter.api.io.TempDir

/**
 * Which bundle is run, and what is said of the others: bundles that `edgekit build` wrote, laid out as `edgekit drop`
 * lays them out, and ONNX Runtime for real. A chip that this machine has is the CPU by another name; with Qualcomm's
 * library for Linux, Hexagon's own bundle runs in a simulation of it.
 */
class ChoiceTest {
    @TempDir
    lateinit var temporary: Path

    private val bundles = File(System.getProperty("edgekit.bundles"))
    private val runtimes = listOf(OnnxRuntime(threads = 1), Toy(OnnxRuntime(threads = 1)), QnnRuntime())

    private class Toy(cpu: OnnxRuntime) : Runtime by cpu {
        override val chips = setOf("toy")
    }

    @Test
    fun `the chip's bundle is run where the chip is, the CPU's elsewhere`() {
        val chip = toy()
        val choice = choose("TOY1-AB", listOf(chip))
        assertEquals("toy-1", choice.bundle.manifest.target)
        assertTrue(choice.fellBack.isEmpty())
        val other = choose("TOY2", listOf(chip))
        assertEquals("android-arm64", other.bundle.manifest.target)
        assertTrue(other.fellBack.isEmpty())
    }

    /** It loads and runs; only what it computes is not what the host computed. */
    @Test
    fun `a chip that computes something else is not run, and the reason is told`() {
        val wrong = toy()
        perturb(wrong, "golden/2.logits.model.onnx.bin")
        val choice = choose("TOY1", listOf(wrong))
        assertEquals("android-arm64", choice.bundle.manifest.target)
        val fell = choice.fellBack.single()
        assertEquals("toy-1" to "toy", fell.target to fell.chip)
        assertTrue("model.onnx fails its self-test. Output logits, leg device" in fell.reason) { fell.reason }
    }

    @Test
    fun `a damaged bundle for a chip leaves the CPU's`() {
        val damaged = toy()
        val assets = drop(listOf(damaged))
        assets.walk().filter { it.name == "model.onnx" && it.parentFile.name == folder(damaged) }.single().appendText("!")
        val choice = Bundle.choose({ File(assets, it).inputStream() }, File(temporary.toFile(), "files"), "TOY1", runtimes)
        assertEquals("android-arm64", choice.bundle.manifest.target)
        assertTrue("model.onnx is damaged" in choice.fellBack.single().reason)
    }

    /** As on every phone whose app does not link Qualcomm's provider. */
    @Test
    fun `without the chip's library the CPU's bundle is run, and the self-test says why`() {
        val chip = toy { it.replace("\"chip\": \"toy\"", "\"chip\": \"hexagon\"") }
        val choice = choose("TOY1", listOf(chip))
        val reason = choice.fellBack.single().reason
        assertTrue("there is no QNNExecutionProvider" in reason && "libonnxruntime_providers_qnn.so" in reason) { reason }
        val results = File(temporary.toFile(), "results")
        assertTrue(test(choice, results).passed)
        val written = Json.parseToJsonElement(File(results, "selftest.json").readText()).jsonObject
        val fell = written.getValue("fell_back").jsonArray.single().jsonObject
        assertEquals(listOf("toy-1", "hexagon", reason), listOf("target", "chip", "reason").map { fell.getValue(it).jsonPrimitive.content })
        assertEquals("cpu", written.getValue("chip").jsonPrimitive.content)
    }

    @Test
    fun `what has no runtime here is fallen back from`() {
        val chip = toy { it.replace("\"chip\": \"toy\"", "\"chip\": \"unheard-of\"") }
        assertTrue("no runtime for .onnx files" in choose("TOY1", listOf(chip)).fellBack.single().reason)
    }

    /** Only those that may be run here are copied: a bundle for another phone's chip would cost this one its storage. */
    @Test
    fun `bundles for other chips are not copied`() {
        val chip = toy()
        fun copied() = File(temporary.toFile(), "files").list()!!.toList()
        choose("TOY1", listOf(chip))
        assertEquals(listOf(folder(chip)), copied())
        val other = choose("TOY2", listOf(chip))
        assertEquals(listOf(other.bundle.folder.name), copied())
        assertEquals("android-arm64", other.bundle.manifest.target)
    }

    @Test
    fun `Hexagon's bundle runs on Hexagon, all of it`() {
        val qualcomm = qualcomm()
        val chip = copy("snapdragon-8-gen-3")
        val choice = choose("SM8650-AC", listOf(chip), qualcomm)
        assertEquals("snapdragon-8-gen-3", choice.bundle.manifest.target) { "${choice.fellBack}" }
        val outcome = test(choice, File(System.getProperty("edgekit.out"), "hexagon"), qualcomm)
        assertTrue(outcome.passed) { "${outcome.artifacts.map { it.reason }}" }
        val tested = outcome.artifacts.single()
        assertTrue("compiled ahead of time" in tested.runtime!!) { tested.runtime!! }
        assertEquals("QNNExecutionProvider", tested.provider)
        assertEquals(setOf("QNNExecutionProvider"), tested.nodes!!.map { it.provider }.toSet())
    }

    /** As where the phone's library is older than the compiler's. */
    @Test
    fun `a compiled file that the library does not read is made anew`() {
        val qualcomm = qualcomm()
        val chip = copy("snapdragon-8-gen-3")
        replace(chip, "compiled/model.snapdragon-8-gen-3.onnx", "no protobuf".encodeToByteArray())
        val choice = choose("SM8650", listOf(chip), qualcomm)
        assertEquals("snapdragon-8-gen-3", choice.bundle.manifest.target) { "${choice.fellBack}" }
        val tested = test(choice, File(temporary.toFile(), "results"), qualcomm).artifacts.single()
        assertTrue("compiled here, since model.onnx does not load" in tested.runtime!!) { tested.runtime!! }
    }

    /** What the NPU cannot take is an error of the load, not a slow node on the CPU. */
    @Test
    fun `a node that would stay on the CPU is refused`() {
        val qualcomm = qualcomm()
        val chip = copy("snapdragon-8-gen-3")
        replace(chip, "compiled/model.snapdragon-8-gen-3.onnx", "no protobuf".encodeToByteArray())
        // Without its size the first dimension is not known, and the provider takes no node.
        edit(chip) { it.replace("\"dimensions\": {\n    \"batch\": ", "\"dimensions\": {\n    \"other\": ") }
        val fell = choose("SM8650", listOf(chip), qualcomm).fellBack.single()
        assertTrue("fallback to CPU EP has been explicitly disabled" in fell.reason) { fell.reason }
    }

    /** The runtimes with Qualcomm's library for this machine, if it is here: scripts/test-android looks for it. */
    private fun qualcomm(): List<Runtime> {
        val folder = System.getProperty("edgekit.qnn").orEmpty()
        assumeTrue(folder.isNotEmpty()) { "onnxruntime-qnn is not installed" }
        return listOf(OnnxRuntime(threads = 1), QnnRuntime("$folder/libonnxruntime_providers_qnn.so", "$folder/libQnnHtp.so"))
    }

    private fun choose(soc: String, chips: List<File>, runtimes: List<Runtime> = this.runtimes): Choice {
        val assets = drop(chips)
        return Bundle.choose({ File(assets, it).inputStream() }, File(temporary.toFile(), "files"), soc, runtimes)
    }

    private fun test(choice: Choice, results: File, runtimes: List<Runtime> = this.runtimes) =
        SelfTest(runtimes, Device("Test bench", "", "Linux", "x86_64"), results, Timing(warmUp = 1, runs = 2)).run({ choice })

    /** The CPU's bundle, said to be for a chip. */
    private fun toy(change: (String) -> String = { it }): File = copy("android-arm64").also { folder ->
        edit(folder) { text ->
            val named = text.replace("\"chip\": \"cpu\"", "\"chip\": \"toy\"").replace("\"socs\": []", "\"socs\": [\"TOY1\"]")
            change(named.replace("\"name\": \"android-arm64\"", "\"name\": \"toy-1\""))
        }
    }

    private var copies = 0

    private fun copy(target: String): File {
        val folder = File(temporary.toFile(), "bundle${copies++}")
        check(File(bundles, target).copyRecursively(folder)) { "there is no bundle for $target" }
        if (System.getProperty("edgekit.jvm.other").toBoolean()) {
            // As in OnnxSelfTest: the JVM's library is not of the pinned version.
            edit(folder) { it.replace(Regex("\"minimum_runtime\": \"onnxruntime [^\"]*\""), "\"minimum_runtime\": \"onnxruntime 1.0.0\"") }
        }
        return folder
    }

    private fun edit(folder: File, change: (String) -> String) {
        val manifest = File(folder, "manifest.json")
        val before = manifest.readText()
        val after = change(before)
        check(before != after) { "the edit changed nothing" }
        manifest.writeText(after)
    }

    private fun replace(folder: File, path: String, bytes: ByteArray) {
        val file = File(folder, path)
        val was = file.inputStream().use(::sha256)
        file.writeBytes(bytes)
        edit(folder) { it.replace(was, file.inputStream().use(::sha256)) }
    }

    private fun perturb(folder: File, path: String) {
        val values = ByteBuffer.wrap(File(folder, path).readBytes()).order(ByteOrder.LITTLE_ENDIAN)
        values.putFloat(0, values.getFloat(0) + 3f)
        replace(folder, path, values.array())
    }

    private fun digest(folder: File) = File(folder, "manifest.json").inputStream().use(::sha256)

    private fun folder(bundle: File) = digest(bundle).take(16)

    /** Lays bundles out as `edgekit drop` does: the CPU's, and beside it those for chips. */
    private fun drop(chips: List<File>): File {
        val assets = File(temporary.toFile(), "assets${copies++}")
        val cpu = copy("android-arm64")
        fun place(bundle: File): String {
            check(bundle.copyRecursively(File(assets, folder(bundle))))
            return "\"folder\": \"${folder(bundle)}\", \"manifest_sha256\": \"${digest(bundle)}\""
        }
        val beside = chips.joinToString { bundle ->
            val manifest = Bundle.read(bundle).manifest
            val socs = Regex("\"socs\": \\[[^]]*]").find(File(bundle, "manifest.json").readText())!!.value
            "{${place(bundle)}, \"chip\": \"${manifest.chip}\", $socs}"
        }
        File(assets, "bundle.json").apply { parentFile.mkdirs() }.writeText("{\"version\": 1, ${place(cpu)}, \"chips\": [$beside]}")
        return assets
    }
}
