package org.edgekit.core

import kotlinx.serialization.SerializationException
import kotlinx.serialization.json.Json
import kotlinx.serialization.json.JsonArray

/** A node that was run, its operator, and the provider that ran it. */
data class RunNode(val name: String, val operator: String, val provider: String) {
    override fun toString() = "$operator ($name)"
}

/** Where the nodes of a model ran, as far as a runtime tells. */
object Placement {
    private const val ENDING = "_kernel_time"

    /**
     * Reads a profile of ONNX Runtime: a list of events, of which those of the category `Node` that name a `provider` are
     * nodes that ran. A node that ran several times counts once. Null if the text is no such list.
     */
    fun parse(profile: String): List<RunNode>? = try {
        (Json.parseToJsonElement(profile) as? JsonArray)?.mapIndexedNotNull { i, event -> ran(Node(event, "$i")) }?.distinct()
    } catch (_: SerializationException) {
        null
    } catch (_: Fault) {
        null
    }

    private fun ran(event: Node): RunNode? {
        val facts = event.opt("args")?.takeIf { event.opt("cat")?.text() == "Node" } ?: return null
        // Events of a node beside its run name none.
        val provider = facts.opt("provider")?.text()?.takeIf { it.isNotEmpty() } ?: return null
        return RunNode(event["name"].text().removeSuffix(ENDING), facts["op_name"].text(), provider)
    }
}
