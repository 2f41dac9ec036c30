package org.edgekit.core

import java.io.File
import java.nio.ByteBuffer
import java.nio.ByteOrder
import kotlinx.serialization.json.Json
import kotlinx.serialization.json.JsonElement
import kotlinx.serialization.json.JsonNull
import kotlinx.serialization.json.JsonObject
import kotlinx.serialization.json.double
import kotlinx.serialization.json.int
import kotlinx.serialization.json.jsonArray
import kotlinx.serialization.json.jsonObject
import kotlinx.serialization.json.jsonPrimitive

/** `tests/vectors`, which the SDK wrote and all apps are held against. */
object Vectors {
    val folder = File(System.getProperty("edgekit.vectors") ?: "../../tests/vectors")

    fun json(path: String): JsonElement = Json.parseToJsonElement(File(folder, path).readText())

    fun cases(kind: String): List<JsonObject> = json("$kind/cases.json").jsonArray.map { it.jsonObject }

    fun bytes(path: String): ByteArray = File(folder, path).readBytes()

    fun floats(path: String): FloatArray = bytes(path).let { raw ->
        FloatArray(raw.size / 4).also { ByteBuffer.wrap(raw).order(ByteOrder.LITTLE_ENDIAN).asFloatBuffer().get(it) }
    }
}

val JsonObject.name get() = text("name")

fun JsonObject.obj(key: String) = getValue(key).jsonObject

fun JsonObject.text(key: String) = getValue(key).jsonPrimitive.content

fun JsonObject.int(key: String) = getValue(key).jsonPrimitive.int

fun JsonObject.ints(key: String) = getValue(key).jsonArray.map { it.jsonPrimitive.int }.toIntArray()

fun JsonObject.doubles() = mapValues { (_, value) -> if (value is JsonNull) null else value.jsonPrimitive.double }
