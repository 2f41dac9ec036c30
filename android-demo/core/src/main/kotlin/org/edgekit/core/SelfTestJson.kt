package org.edgekit.core

import kotlinx.serialization.json.Json
import kotlinx.serialization.json.JsonArrayBuilder
import kotlinx.serialization.json.JsonObjectBuilder
import kotlinx.serialization.json.add
import kotlinx.serialization.json.addJsonObject
import kotlinx.serialization.json.buildJsonObject
import kotlinx.serialization.json.put
import kotlinx.serialization.json.putJsonArray
import kotlinx.serialization.json.putJsonObject

/** The version of the app; the SDK reads it from `selftest.json`. */
const val APP_VERSION = "0.1.0"

private val pretty = Json { prettyPrint = true }

/** The text of `selftest.json`, which `edgekit profile --device` reads. */
fun Outcome.toJson(device: Device): String {
    val root = buildJsonObject {
        put("version", 1)
        putJsonObject("app") {
            put("name", "org.edgekit.demo")
            put("version", APP_VERSION)
        }
        putJsonObject("device") {
            put("name", device.name)
            put("soc", device.soc)
            put("os", device.os)
            put("cpu", device.cpu)
        }
        manifest?.let {
            putJsonObject("model") {
                put("name", it.modelName)
                put("weights_sha256", it.weightsSha256)
            }
            put("target", it.target)
            put("chip", it.chip)
        }
        put("verdict", if (passed) "passed" else "failed")
        failure?.let {
            put("failure", it.code.id)
            put("reason", it.message)
        }
        putJsonArray("fell_back") {
            for (one in fellBack) addJsonObject {
                put("target", one.target)
                put("chip", one.chip)
                put("reason", one.reason)
            }
        }
        putJsonArray("artifacts") { artifacts.forEach { artifact(it) } }
    }
    return pretty.encodeToString(kotlinx.serialization.json.JsonObject.serializer(), root) + "\n"
}

private fun JsonArrayBuilder.artifact(tested: Tested) = addJsonObject {
    put("file", tested.artifact.file)
    put("sha256", tested.artifact.sha256)
    put("runtime", tested.runtime)
    put("threads", tested.threads)
    put("provider", tested.provider)
    putJsonObject("nodes") { tested.nodes.orEmpty().groupingBy { it.provider }.eachCount().forEach { (name, count) -> put(name, count) } }
    putJsonArray("elsewhere") { tested.elsewhere.forEach { add(it.toString()) } }
    put("status", tested.status.name.lowercase())
    put("reason", tested.reason)
    put("failure", tested.failure?.code?.id)
    val latency = tested.latency
    put("load_ms", latency?.load)
    put("first_ms", latency?.first)
    put("median_ms", latency?.median)
    put("p90_ms", latency?.p90)
    put("p95_ms", latency?.p95)
    put("p99_ms", latency?.p99)
    put("runs", latency?.sorted?.size ?: 0)
    putJsonArray("legs") { tested.legs.forEach { leg -> addJsonObject { leg(leg) } } }
}

private fun JsonObjectBuilder.leg(leg: Leg) {
    put("leg", leg.leg)
    put("output", leg.output)
    putJsonObject("metrics") {
        for ((name, value) in leg.metrics.byName) if (name == "non_finite") put(name, value?.toInt()) else put(name, value)
    }
    put("worst_share_of_tolerance", leg.worstShare)
    put("within_tolerance", leg.within)
    putJsonArray("limits") {
        for (judged in leg.limits) addJsonObject {
            put("limit", judged.limit)
            put("metric", judged.metric)
            put("value", judged.value)
            put("bound", judged.bound)
            put("result", judged.result.name.lowercase())
        }
    }
}
