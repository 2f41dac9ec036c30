package org.edgekit.core

/**
 * Everything that can go wrong, with words for a person: what is wrong, and what to do about it. The iOS app has the
 * same words; `tests/vectors/words.json` holds both.
 */
enum class Code(val says: String, val action: String) {
    NO_BUNDLE(
        "No model was put into this app.",
        "On the computer, run: edgekit drop {app}. Then build and install the app again.",
    ),
    MISSING_FILE(
        "{file} is missing from the app.",
        "Put the bundle into the app again: edgekit drop {app}.",
    ),
    WRONG_SHA256(
        "{file} is damaged: its sha256 is {found}, not {expected}.",
        "Put the bundle into the app again: edgekit drop {app}. If that does not help, install the app again.",
    ),
    NOT_A_MANIFEST(
        "{file} is not a manifest: {reason}.",
        "Build the bundle again with edgekit build, and put it into the app with edgekit drop {app}.",
    ),
    MANIFEST_VERSION(
        "{file} has schema version {found}; this app reads version {expected}.",
        "Take the app and EdgeKit from the same release.",
    ),
    MANIFEST_SCHEMA(
        "{file} breaks its schema: {place}: {reason}.",
        "Build the bundle again with edgekit build, and put it into the app with edgekit drop {app}.",
    ),
    NO_RUNTIME(
        "{file} cannot be run: this app has no runtime for .{format} files.",
        "Choose another artifact of the bundle, or add the runtime to the app.",
    ),
    RUNTIME_TOO_OLD(
        "{file} needs {needed}; this app has {found}.",
        "Run edgekit drop {app}, which sets the version, and build the app again.",
    ),
    LOAD_FAILED(
        "{file} does not load: {reason}.",
        "It needs {needs}. Does the runtime in this app carry that? edgekit inspect shows what a file needs.",
    ),
    RUN_FAILED(
        "{file} does not run: {reason}.",
        "Run the self-test; if it fails too, build the bundle again with edgekit build.",
    ),
    WRONG_OUTPUT(
        "{file} gave {found} for {output}; the manifest says {expected}.",
        "Build the bundle again with edgekit build, and put it into the app with edgekit drop {app}.",
    ),
    NO_PICTURE_INPUT(
        "{model} takes no picture.",
        "Run the self-test, which uses the inputs in the bundle.",
    ),
    NO_SOUND_INPUT(
        "{model} takes no sound.",
        "Run the self-test, which uses the inputs in the bundle.",
    ),
    BAD_PICTURE(
        "The picture cannot be read: {reason}.",
        "Choose an ordinary PNG or JPEG.",
    ),
    NOTHING_TO_RUN(
        "No artifact of this bundle could be run: {reason}.",
        "Build the bundle with a format that this app has a runtime for: .pte or .onnx.",
    ),
    CANNOT_WRITE(
        "{file} cannot be written: {reason}.",
        "Free some storage on this device, and try again.",
    );

    /** The name in `words.json` and in `selftest.json`. */
    val id: String get() = name.lowercase()
}

/** A failure that a person can act on; the values fill the placeholders of its words. */
class Failure(val code: Code, vararg values: Pair<String, Any>, cause: Throwable? = null) : Exception(cause) {
    private val values = values.toMap() + ("app" to APP)

    /** What is wrong. */
    val says: String = filled(code.says)

    /** What to do about it. */
    val action: String = filled(code.action)

    override val message: String = "$says $action"

    private fun filled(words: String): String = PLACEHOLDER.replace(words) { place ->
        // The words end the sentence themselves.
        values.getValue(place.groupValues[1]).toString().trim().trimEnd('.')
    }

    private companion object {
        const val APP = "android-demo"
        val PLACEHOLDER = Regex("\\{(\\w+)\\}")
    }
}
