# Sourced by test-android, make-app-pictures and make-apk, after setup.sh: a JDK, Maven, and the runtimes' classes. Needs $root.

demo="$root/android-demo"
cache="${XDG_CACHE_HOME:-$HOME/.cache}/edgekit/android"

# Stands in where the AAR of ExecuTorch cannot be had: a published package that carries the same Java classes of a
# neighbouring version, and the library. Version and digest are pinned; npm takes it from whatever registry it is set to.
substitute="react-native-executorch"
substitute_version="0.9.3"
substitute_sha512="eanpDe8sFFxbKfCh0lqrSVyU4/deiF1pZWtZOjZSV+w+qfuNsdrkQkoscxvhMwJOnvXNkBt4BXAr8pAlGOXStA=="

need_java_and_maven() {
    local version
    version="$(javac -version 2>&1 | sed -n 's/^javac \([0-9]*\).*/\1/p' || true)"
    if [ "${version:-0}" -lt 17 ]; then
        say "error: the Android demo needs a JDK 17 or newer; found: ${version:-none}."
        say "hint: Debian, Ubuntu: sudo apt install openjdk-17-jdk-headless; macOS: brew install openjdk@17"
        return 1
    fi
    if ! command -v mvn >/dev/null; then
        say "error: the Android demo is compiled by Maven, and there is none."
        say "hint: Debian, Ubuntu: sudo apt install maven; macOS: brew install maven"
        return 1
    fi
}

# A version in the app's catalog, where `edgekit drop` writes those of the runtimes.
version_of() { sed -n "s/^$1 = \"\(.*\)\"\$/\1/p" "$demo/gradle/libs.versions.toml"; }

maven() { MAVEN_OPTS="${MAVEN_OPTS:-} -Djansi.mode=strip" mvn -q -B -ntp -Dstyle.color=never -f "$demo/pom.xml" "$@"; }

# fetched COORDINATES FOLDER: takes an artifact by Maven into a folder; fails in silence if it cannot be had.
fetched() {
    mkdir -p "$2"
    maven -N org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy -Dartifact="$1" -DoutputDirectory="$2" \
        -Dmdep.useBaseVersion=true >"$2/maven.log" 2>&1
}

# The substitute's archive, checked; its path goes to standard output.
substitute_archive() {
    local archive="$cache/$substitute-$substitute_version.tgz" found
    if [ ! -f "$archive" ]; then
        if ! command -v npm >/dev/null; then
            say "error: $substitute is fetched by npm, and there is none."
            say "hint: Debian, Ubuntu: sudo apt install npm; macOS: brew install node"
            return 1
        fi
        mkdir -p "$cache/part"
        (cd "$cache/part" && npm pack --silent "$substitute@$substitute_version" >/dev/null 2>"$cache/part/npm.log") || {
            say "error: $substitute $substitute_version cannot be fetched; npm says: $(tail -n 1 "$cache/part/npm.log")"
            return 1
        }
        mv "$cache/part/$substitute-$substitute_version.tgz" "$archive"
    fi
    found="$("$root/.venv/bin/python" -c 'import base64, hashlib, sys
print(base64.b64encode(hashlib.sha512(open(sys.argv[1], "rb").read()).digest()).decode())' "$archive")"
    if [ "$found" != "$substitute_sha512" ]; then
        rm -f "$archive"
        say "error: $substitute $substitute_version is not what was pinned: its sha512 is $found."
        say "hint: start again; if it stays so, do not use it, and say so in an issue."
        return 1
    fi
    printf '%s\n' "$archive"
}

# Puts the Java classes of ExecuTorch where the pom looks for them, and says whose they are.
take_executorch() {
    local version folder="$demo/build/executorch" archive
    version="$(version_of executorch)"
    mkdir -p "$folder"
    if fetched "org.pytorch:executorch-android:$version:aar" "$folder/aar"; then
        unzip -qo -d "$folder" "$folder/aar/executorch-android-$version.aar" classes.jar
        say "ExecuTorch: compiling against executorch-android $version, the pinned version."
        return
    fi
    archive="$(substitute_archive)" || return 1
    tar -xzf "$archive" -C "$folder" --strip-components=3 package/android/libs/classes.jar
    say "ExecuTorch: executorch-android $version, the pinned version, CANNOT BE RESOLVED by Maven here ($folder/aar/maven.log)."
    say "            Compiling against the org.pytorch.executorch classes in $substitute $substitute_version instead: real, of a"
    say "            neighbouring version. That the pinned version compiles was not shown by this run."
}

# Sets onnxruntime_args: which ONNX Runtime Maven compiles against and runs; says so.
take_onnxruntime() {
    local version folder="$demo/build/onnxruntime" jvm
    version="$(version_of onnxruntime)"
    jvm="$version"
    onnxruntime_args=()
    if ! fetched "com.microsoft.onnxruntime:onnxruntime:$version:jar" "$folder/jvm"; then
        jvm="$(sed -n 's:.*<onnxruntime.version>\(.*\)</onnxruntime.version>.*:\1:p' "$demo/app/pom.xml")"
        say "ONNX Runtime: the JVM's onnxruntime $version, the pinned version, CANNOT BE RESOLVED by Maven here; running on $jvm."
    fi
    onnxruntime_args+=("-Donnxruntime.version=$jvm")
    [ "$jvm" = "$version" ] || onnxruntime_args+=("-Dedgekit.jvm.other=true")
    if fetched "com.microsoft.onnxruntime:onnxruntime-android:$version:aar" "$folder/aar"; then
        unzip -qo -d "$folder" "$folder/aar/onnxruntime-android-$version.aar" classes.jar
        onnxruntime_args+=("-Donnxruntime.classes=$folder/classes.jar")
        say "ONNX Runtime: compiling against onnxruntime-android $version, the pinned version; the tests run on the JVM's $jvm."
    else
        say "ONNX Runtime: onnxruntime-android $version, the pinned version, CANNOT BE RESOLVED by Maven here. Compiling against"
        say "              the JVM's onnxruntime $jvm, which has the same classes."
    fi
}

# Hands the catalog's other versions on to Maven.
catalog_args() {
    local key
    for key in kotlin serialization junit; do printf -- '-D%s.version=%s\n' "$key" "$(version_of "$key")"; done
}

# Sets $aapt2: Android's resource compiler, from the path, from an Android SDK, or by Maven.
find_aapt2() {
    local sdk="${ANDROID_HOME:-${ANDROID_SDK_ROOT:-}}" system=linux
    aapt2="$(command -v aapt2 || true)"
    if [ -z "$aapt2" ] && [ -n "$sdk" ]; then
        aapt2="$(find "$sdk/build-tools" -name aapt2 2>/dev/null | sort -V | tail -n 1)"
    fi
    [ "$(uname -s)" = Linux ] || system=osx
    if [ -z "$aapt2" ] && fetched "com.android.tools.build:aapt2:$aapt2_version:jar:$system" "$demo/build/tools"; then
        unzip -qo -d "$demo/build/tools" "$demo/build/tools/aapt2-$aapt2_version-$system.jar" aapt2
        chmod +x "$demo/build/tools/aapt2"
        aapt2="$demo/build/tools/aapt2"
    fi
    if [ -z "$aapt2" ]; then
        say "error: there is no aapt2, Android's resource compiler: not on the path, not in ANDROID_HOME, not by Maven."
        say "hint: Debian, Ubuntu: sudo apt install aapt; or install the Android SDK's build tools and set ANDROID_HOME."
        return 1
    fi
}

aapt2_version="8.13.0-13719691"
# A framework that every aapt2 reads: those from Android 12 on are packed in a way that Debian's does not know. The
# resources use nothing newer.
framework_version="10-robolectric-5803371"

# link_resources APK [ASSETS]: manifest, resources and assets as a package without code. Models are stored as they are.
# executorch_version: what the app is to take for ExecuTorch's version; empty: it does not know.
link_resources() {
    local out="$1" assets="${2:-}" main="$demo/app/src/main" work="$demo/build/resources"
    local min target
    find_aapt2 || return 1
    fetched "org.robolectric:android-all:$framework_version:jar" "$demo/build/tools" || {
        say "error: Maven cannot resolve android-all $framework_version: $demo/build/tools/maven.log"
        return 1
    }
    mkdir -p "$work"
    min="$(sed -n 's/.*minSdk = //p' "$demo/app/build.gradle.kts")"
    target="$(sed -n 's/.*targetSdk = //p' "$demo/app/build.gradle.kts")"
    # What Gradle does to the manifest: the package's name, and the placeholder.
    # An old aapt2 does not know the libraries of a phone's vendor.
    sed -e '/<uses-native-library/d' -e "s/\${executorch}/${executorch_version-$(version_of executorch)}/" -e 's/<manifest /<manifest package="org.edgekit.demo" /' \
        "$main/AndroidManifest.xml" >"$work/AndroidManifest.xml"
    "$aapt2" compile --dir "$main/res" -o "$work/resources.zip"
    "$aapt2" link -I "$demo/build/tools/android-all-$framework_version.jar" --manifest "$work/AndroidManifest.xml" -o "$out" \
        --min-sdk-version "$min" --target-sdk-version "$target" --version-code 1 --debug-mode \
        --version-name "$(sed -n 's/.*versionName = "\(.*\)"/\1/p' "$demo/app/build.gradle.kts")" \
        ${assets:+-A "$assets"} -0 .pte -0 .onnx -0 .bin "$work/resources.zip"
}
