package org.edgekit.core

import kotlinx.serialization.SerializationException
import kotlinx.serialization.json.Json
import kotlinx.serialization.json.JsonArray
import kotlinx.serialization.json.JsonElement
import kotlinx.serialization.json.JsonNull
import kotlinx.serialization.json.JsonObject
import kotlinx.serialization.json.JsonPrimitive
import kotlinx.serialization.json.booleanOrNull

/** A value in a JSON text that knows its place, so that a fault can be named. Types are strict: "1" is no number. */
internal class Node(private val value: JsonElement, private val place: String) {
    /** What stands under a key; a missing one is a fault. */
    operator fun get(key: String): Node = Node(members[key] ?: faulty("$key is missing"), under(key))

    /** What stands under a key, or null if it is missing or null. */
    fun opt(key: String): Node? = members[key]?.takeIf { it !is JsonNull }?.let { Node(it, under(key)) }

    /** The members of an object. */
    fun entries(): List<Pair<String, Node>> = members.map { (key, value) -> key to Node(value, under(key)) }

    /** The items of a list. */
    fun items(): List<Node> =
        (value as? JsonArray ?: faulty("must be a list")).mapIndexed { i, item -> Node(item, "$place.$i") }

    /** A text, of a pattern if one is given. */
    fun text(pattern: Regex? = null): String {
        val text = (value as? JsonPrimitive)?.takeIf { it.isString }?.content ?: faulty("must be a text")
        return if (pattern == null || pattern.matches(text)) text else faulty("\"$text\" does not match $pattern")
    }

    /** One of the given texts. */
    fun oneOf(choices: Collection<String>): String =
        text().takeIf { it in choices } ?: faulty("must be one of ${choices.joinToString()}")

    /** A whole number. */
    fun long(): Long = number()?.toLongOrNull() ?: faulty("must be a whole number")

    /** A whole number in a range. */
    fun int(range: IntRange): Int =
        number()?.toIntOrNull()?.takeIf { it in range } ?: faulty("must be a whole number of ${range.first} or more")

    /** True or false. */
    fun boolean(): Boolean =
        (value as? JsonPrimitive)?.takeIf { !it.isString }?.booleanOrNull ?: faulty("must be true or false")

    /** A finite number. */
    fun double(): Double = number()?.toDoubleOrNull()?.takeIf { it.isFinite() } ?: faulty("must be a number")

    /** Whether this is a text. */
    val isText: Boolean get() = value is JsonPrimitive && value.isString

    /** Says what is wrong here. */
    fun faulty(reason: String): Nothing = throw Fault(place.ifEmpty { "the text" }, reason)

    private val members get() = value as? JsonObject ?: faulty("must be an object")

    private fun under(key: String) = if (place.isEmpty()) key else "$place.$key"

    private fun number() = (value as? JsonPrimitive)?.takeIf { !it.isString && it !is JsonNull }?.content

    companion object {
        /** Reads a JSON object, or says why the text holds none. */
        fun of(text: String): Node {
            val root = try {
                Json.parseToJsonElement(text)
            } catch (error: SerializationException) {
                throw Fault("the text", error.message.orEmpty().lineSequence().first())
            }
            return if (root is JsonObject) Node(root, "") else throw Fault("the text", "it holds no object")
        }
    }
}

/** A fault in a JSON text: where, and what. */
internal class Fault(val place: String, val reason: String) : Exception("$place: $reason")
