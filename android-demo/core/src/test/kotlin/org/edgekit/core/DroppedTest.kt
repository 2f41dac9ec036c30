package org.edgekit.core

import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Assertions.assertNull
import org.junit.jupiter.api.Assertions.assertThrows
import org.junit.jupiter.api.Assertions.assertTrue
import org.junit.jupiter.api.Test

/** Which bundles there are, which of them a phone tries first, and where nodes ran: by the words of files alone. */
class DroppedTest {
    private val cpu = Entry("0".repeat(16), "0".repeat(64))
    private val hexagon = Entry("1".repeat(16), "1".repeat(64), "hexagon", listOf("SM8650"))
    private val elite = Entry("2".repeat(16), "2".repeat(64), "hexagon", listOf("SM8750", "SM8735"))
    private val vulkan = Entry("3".repeat(16), "3".repeat(64), "vulkan")
    private val all = Dropped(cpu, listOf(vulkan, hexagon, elite))

    @Test
    fun `the one for the system on a chip comes first, the CPU's last`() {
        assertEquals(listOf(hexagon, vulkan, cpu), all.candidates("SM8650"))
        assertEquals(listOf(elite, vulkan, cpu), all.candidates("SM8735"))
        assertEquals(listOf(vulkan, cpu), all.candidates("Tensor G3"))
        assertEquals(listOf(cpu), Dropped(cpu, listOf(hexagon)).candidates("Exynos 2400"))
    }

    @Test
    fun `a phone that does not say takes none that is named`() {
        assertEquals(listOf(vulkan, cpu), all.candidates(""))
    }

    @Test
    fun `variants go by the name before the dash, others by the whole name`() {
        assertEquals(hexagon, all.candidates("sm8650-AC").first())
        assertEquals(vulkan, all.candidates("SM86501").first())
        assertEquals(vulkan, all.candidates("SM865").first())
    }

    @Test
    fun `what drop writes is read`() {
        fun place(one: Entry) = "\"folder\": \"${one.folder}\", \"manifest_sha256\": \"${one.manifestSha256}\""
        assertEquals(Dropped(cpu, emptyList()), Dropped.parse("{\"version\": 1, ${place(cpu)}}"))
        val chips = """{${place(hexagon)}, "chip": "hexagon", "socs": ["SM8650"]}, {${place(vulkan)}, "chip": "vulkan", "socs": []}"""
        assertEquals(Dropped(cpu, listOf(hexagon, vulkan)), Dropped.parse("{\"version\": 1, ${place(cpu)}, \"chips\": [$chips]}"))
        val outside = chips.replace(hexagon.folder, "../../escape00000")
        for (text in listOf("", "[]", "{}", "{\"version\": 1, ${place(cpu)}, \"chips\": [$outside]}", "{${place(cpu)}, \"chips\": 1}")) {
            assertEquals(Code.NOT_A_MANIFEST, assertThrows(Failure::class.java) { Dropped.parse(text) }.code, text)
        }
    }

    @Test
    fun `a profile says where nodes ran`() {
        fun node(name: String, operator: String, provider: String?) =
            """{"cat": "Node", "name": "${name}_kernel_time", "args": {"op_name": "$operator"${provider?.let { ", \"provider\": \"$it\"" }.orEmpty()}}}"""
        val session = """{"cat": "Session", "name": "model_run", "args": {}}"""
        val events = listOf(
            session,
            node("qnn_0", "qnn_0", "QNNExecutionProvider"),
            node("head.add", "Add", "CPUExecutionProvider"),
            node("head.add", "Add", null),
            node("head.add", "Add", "CPUExecutionProvider"),
        )
        val found = Placement.parse(events.joinToString(",", "[", "]"))
        assertEquals(listOf("QNNExecutionProvider", "CPUExecutionProvider"), found?.map { it.provider })
        assertEquals("Add (head.add)", found?.last().toString())
        assertTrue(Placement.parse("[$session]")!!.isEmpty())
        for (text in listOf("", "{}", "[1]", """[{"cat": "Node", "args": {"provider": "a"}}]""")) assertNull(Placement.parse(text), text)
    }
}
