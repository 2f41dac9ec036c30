package org.edgekit.core

/** A bundle among the app's assets: its folder, what its manifest's sha256 must be, and what it is for. */
data class Entry(val folder: String, val manifestSha256: String, val chip: String = CPU, val socs: List<String> = emptyList()) {
    /** Whether it is for a system on a chip, by the name that Android has for it; variants go by the name before a dash. */
    fun names(soc: String) = socs.any { soc.equals(it, ignoreCase = true) || soc.startsWith("$it-", ignoreCase = true) }

    companion object {
        /** What a bundle is for that every device runs. */
        const val CPU = "cpu"
    }
}

/** `bundle.json`, as `edgekit drop` writes it: the bundle that every device runs, and those for chips beside it. */
data class Dropped(val fallback: Entry, val chips: List<Entry>) {
    /**
     * The bundles that a device may run, the best first: for its own system on a chip, for any with some chip, the CPU's.
     *
     * @param soc what Android calls the system on a chip, `Build.SOC_MODEL`; empty if it does not say
     */
    fun candidates(soc: String): List<Entry> = chips.filter { it.names(soc) } + chips.filter { it.socs.isEmpty() } + fallback

    companion object {
        /** The file's name. */
        const val FILE = "bundle.json"
        private val FOLDER = Regex("[0-9a-f]{16}")

        /** Reads the text of the file; before there were bundles for chips it named one alone. */
        fun parse(text: String): Dropped = try {
            val root = Node.of(text)
            Dropped(entry(root), root.opt("chips")?.items().orEmpty().map(::entry))
        } catch (fault: Fault) {
            throw Failure(Code.NOT_A_MANIFEST, "file" to FILE, "reason" to fault.message.orEmpty(), cause = fault)
        }

        private fun entry(node: Node) = Entry(
            folder = node["folder"].text(FOLDER),
            manifestSha256 = node["manifest_sha256"].text(),
            chip = node.opt("chip")?.text() ?: Entry.CPU,
            socs = node.opt("socs")?.items().orEmpty().map { it.text() },
        )
    }
}
