package org.edgekit.core

import java.io.File
import java.io.FileNotFoundException
import java.io.IOException
import java.io.InputStream
import java.security.MessageDigest

/** A bundle in a folder. Nothing of it is given out before its sha256 was found right. */
class Bundle(val folder: File, val manifest: Manifest) {
    /** Checks the sha256 of every file that the manifest names; a file that is checked twice is read twice. */
    fun verify() {
        for ((path, expected) in manifest.files) {
            val file = File(folder, path)
            if (!file.isFile) throw Failure(Code.MISSING_FILE, "file" to path)
            val found = file.inputStream().use(::sha256)
            if (found != expected) throw wrong(path, found, expected)
        }
    }

    /** The file of an artifact. */
    fun file(artifact: Artifact): File = File(folder, artifact.file)

    /** Reads a golden input or output, and checks it on the way. */
    fun read(golden: GoldenTensor): Tensor {
        val file = File(folder, golden.file)
        if (!file.isFile) throw Failure(Code.MISSING_FILE, "file" to golden.file)
        val bytes = file.readBytes()
        val found = sha256(bytes.inputStream())
        if (found != golden.sha256) throw wrong(golden.file, found, golden.sha256)
        return try {
            Tensor(golden.name, golden.dtype, golden.shape.toIntArray(), bytes)
        } catch (error: IllegalArgumentException) {
            val (place, reason) = golden.file to error.message.orEmpty()
            throw Failure(Code.MANIFEST_SCHEMA, "file" to FILE, "place" to place, "reason" to reason, cause = error)
        }
    }

    companion object {
        private const val FILE = "manifest.json"

        /** Reads a bundle as `edgekit build` writes it, and checks every file. */
        fun read(folder: File): Bundle {
            val text = File(folder, FILE).takeIf { it.isFile }?.readText() ?: throw Failure(Code.MISSING_FILE, "file" to FILE)
            return Bundle(folder, Manifest.parse(text)).also { it.verify() }
        }

        /**
         * Copies the bundle that `edgekit drop` put into the app to where runtimes can map it into memory; of several the
         * one that every device runs.
         *
         * A copy that was cut off is not taken for whole: a file is written under another name, checked, and renamed.
         * What earlier bundles left is removed.
         *
         * @param assets opens a file of the app's assets by its path under `edgekit/`
         * @param files where the copies go
         */
        fun install(assets: (String) -> InputStream, files: File): Bundle {
            val entry = dropped(assets).fallback
            clear(files, setOf(entry.folder))
            return install(assets, files, entry)
        }

        /**
         * Copies the best bundle that works here, see [Choice.make]; those that were tried and failed stay, to be tried again.
         *
         * @param soc what Android calls the system on a chip, `Build.SOC_MODEL`; empty if it does not say
         */
        fun choose(assets: (String) -> InputStream, files: File, soc: String, runtimes: List<Runtime>): Choice {
            val candidates = dropped(assets).candidates(soc)
            clear(files, candidates.map { it.folder }.toSet())
            return Choice.make(candidates, runtimes) { install(assets, files, it) }
        }

        private fun dropped(assets: (String) -> InputStream): Dropped =
            Dropped.parse(open(assets, Dropped.FILE)?.use { it.readBytes().decodeToString() } ?: throw Failure(Code.NO_BUNDLE))

        private fun clear(files: File, keep: Set<String>) {
            files.listFiles()?.filter { it.name !in keep }?.forEach { it.deleteRecursively() }
        }

        private fun install(assets: (String) -> InputStream, files: File, entry: Entry): Bundle {
            val (name, expected) = entry.folder to entry.manifestSha256
            val bytes = open(assets, "$name/$FILE")?.use { it.readBytes() } ?: throw Failure(Code.MISSING_FILE, "file" to FILE)
            val found = sha256(bytes.inputStream())
            if (found != expected) throw wrong(FILE, found, expected)
            val manifest = Manifest.parse(bytes.decodeToString())
            val folder = File(files, name)
            for ((path, sha256) in manifest.files) copy(assets, "$name/$path", path, sha256, File(folder, path))
            return Bundle(folder, manifest)
        }

        private fun copy(assets: (String) -> InputStream, asset: String, path: String, expected: String, to: File) {
            if (to.isFile && to.inputStream().use(::sha256) == expected) return
            val part = File(to.path + ".part")
            val source = open(assets, asset) ?: throw Failure(Code.MISSING_FILE, "file" to path)
            source.use {
                writing(path) {
                    to.parentFile?.mkdirs()
                    part.outputStream().use { out -> source.copyTo(out) }
                }
            }
            val found = part.inputStream().use(::sha256)
            if (found != expected) {
                part.delete()
                throw wrong(path, found, expected)
            }
            writing(path) { if (!part.renameTo(to)) throw IOException("$part cannot be renamed") }
        }

        private fun open(assets: (String) -> InputStream, path: String): InputStream? = try {
            assets(path)
        } catch (_: FileNotFoundException) {
            null
        }

        private fun wrong(path: String, found: String, expected: String) =
            Failure(Code.WRONG_SHA256, "file" to path, "found" to found, "expected" to expected)
    }
}

/** Every file that a manifest names, with its sha256. */
val Manifest.files: Map<String, String>
    get() = artifacts.associate { it.file to it.sha256 } +
        artifacts.flatMap { it.compiled }.associate { it.file to it.sha256 } +
        listOfNotNull(text).associate { it.file to it.sha256 } +
        golden.flatMap { it.inputs + it.outputs }.associate { it.file to it.sha256 }

/** The SHA-256 of a stream as hexadecimal digits. */
fun sha256(stream: InputStream): String {
    val digest = MessageDigest.getInstance("SHA-256")
    val buffer = ByteArray(1 shl 16)
    while (true) {
        val count = stream.read(buffer)
        if (count < 0) break
        digest.update(buffer, 0, count)
    }
    return digest.digest().joinToString("") { "%02x".format(it) }
}

/** Does something that writes, and says so in words if it cannot. */
internal fun <T> writing(path: String, write: () -> T): T = try {
    write()
} catch (error: IOException) {
    throw Failure(Code.CANNOT_WRITE, "file" to path, "reason" to (error.message ?: error), cause = error)
}
