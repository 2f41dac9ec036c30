plugins {
    alias(libs.plugins.android.application)
    alias(libs.plugins.kotlin.android)
}

// Qualcomm's provider and its libraries, only for an app that was given a bundle for their NPU.
val hexagon = file("src/main/assets/edgekit/bundle.json").let { it.isFile && "\"hexagon\"" in it.readText() }

android {
    namespace = "org.edgekit.demo"
    compileSdk = 35

    defaultConfig {
        applicationId = "org.edgekit.demo"
        minSdk = 24
        targetSdk = 35
        versionCode = 1
        versionName = "0.1.0"
        // ExecuTorch has libraries for these two alone.
        ndk { abiFilters += listOf("arm64-v8a", "x86_64") }
        // ExecuTorch does not know its own version; the self-test compares it with what the bundle needs.
        manifestPlaceholders["executorch"] = libs.versions.executorch.get()
    }

    // Models are compressed badly and copied once: stored as they are, they are read at the speed of the disk.
    androidResources { noCompress += listOf("pte", "onnx", "bin") }

    // The half of the library that runs on the NPU itself must be a file.
    packaging { jniLibs.useLegacyPackaging = hexagon }
    packaging { jniLibs.pickFirsts += "**/libc++_shared.so" }
}

kotlin {
    jvmToolchain(17)
}

dependencies {
    implementation(project(":core"))
    implementation(libs.executorch)
    implementation(libs.onnxruntime)
    if (hexagon) {
        implementation(libs.qnn.provider)
        implementation(libs.qnn.runtime)
    }
}
