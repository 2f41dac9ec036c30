// Versions are in gradle/libs.versions.toml, where `edgekit drop android-demo` writes those of the runtimes.
plugins {
    alias(libs.plugins.android.application) apply false
    alias(libs.plugins.kotlin.android) apply false
    alias(libs.plugins.kotlin.jvm) apply false
}
