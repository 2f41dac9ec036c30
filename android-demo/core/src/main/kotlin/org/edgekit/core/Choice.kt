package org.edgekit.core

/** A better bundle for this device that could not be taken, and why. */
data class FellBack(val target: String, val chip: String, val reason: String)

/** The bundle that this device runs, and the better ones that it could not. */
class Choice(val bundle: Bundle, val fellBack: List<FellBack> = emptyList()) {
    companion object {
        /**
         * Takes the first bundle that loads here and computes what the host did; the last is taken without being tried:
         * every device should run it, and where one does not, the screens say so.
         *
         * A bundle for a chip is tried on all of its golden inputs, in every format that this app has a runtime for. Slow:
         * not for the main thread.
         *
         * @param candidates the best first, see [Dropped.candidates]
         * @param install copies a bundle to where it can be loaded
         */
        fun make(candidates: List<Entry>, runtimes: List<Runtime>, install: (Entry) -> Bundle): Choice {
            val fellBack = mutableListOf<FellBack>()
            for (entry in candidates.dropLast(1)) {
                var target = entry.folder
                val reason = try {
                    val bundle = install(entry)
                    target = bundle.manifest.target
                    fault(bundle, runtimes) ?: return Choice(bundle, fellBack)
                } catch (failure: Failure) {
                    failure.says
                }
                fellBack += FellBack(target, entry.chip, reason)
            }
            return Choice(install(candidates.last()), fellBack)
        }

        /** Why a bundle is not to be run here; null: it is. */
        private fun fault(bundle: Bundle, runtimes: List<Runtime>): String? {
            val golden = GoldenRows(bundle)
            var missing: String? = null
            var ran = false
            for (artifact in bundle.manifest.artifacts) {
                try {
                    val legs = runtimes.open(bundle, artifact).use { golden.legs(artifact, golden.run(artifact, it)) }
                    golden.fault(legs)?.let { return "${artifact.file} fails its self-test. $it" }
                    ran = true
                } catch (failure: Failure) {
                    // Another format of the bundle may have a runtime here.
                    if (failure.code == Code.NO_RUNTIME) missing = failure.says else throw failure
                } catch (error: RuntimeException) {
                    return "${artifact.file} does not run: $error."
                }
            }
            return if (ran) null else missing
        }
    }
}
