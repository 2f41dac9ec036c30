// swift-tools-version: 6.0
import PackageDescription

// The runtimes' versions. `edgekit drop` writes them from the target profile, the one place where EdgeKit keeps them.
let executorchBranch = "swiftpm-1.5.1"
let onnxruntimeVersion = "1.30.0"

#if os(Linux)
// Where tests run. Nobody publishes ExecuTorch for Swift on Linux: its runner is compiled against a stub, and not run.
// ONNX Runtime is the real one: a folder with include/ and lib/, which scripts/test-ios lays out.
let onnxruntime = Context.environment["EDGEKIT_ONNXRUNTIME"]
let packages: [Package.Dependency] = []
let executorchProducts: [Target.Dependency] = ["ExecuTorch"]
let onnxruntimeProducts: [Target.Dependency] = []
let onnxruntimeHeaders: [CSetting] = [.unsafeFlags(["-I", "\(onnxruntime ?? "")/include"])]
let onnxruntimeImport: [SwiftSetting] = [.unsafeFlags(["-Xcc", "-I\(onnxruntime ?? "")/include"])]
let onnxruntimeLibrary: [LinkerSetting] = [
    .linkedLibrary("onnxruntime"),
    .unsafeFlags(["-L\(onnxruntime ?? "")/lib", "-Xlinker", "-rpath", "-Xlinker", "\(onnxruntime ?? "")/lib"]),
]
let stubs: [Target] = [.target(name: "ExecuTorch", path: "Tests/Stubs/ExecuTorch")]
#else
let onnxruntime: String? = "published"
let packages: [Package.Dependency] = [
    .package(url: "https://github.com/pytorch/executorch.git", branch: executorchBranch),
    .package(
        url: "https://github.com/microsoft/onnxruntime-swift-package-manager",
        exact: Version(stringLiteral: onnxruntimeVersion)),
]
let executorchProducts: [Target.Dependency] = ["executorch", "backend_xnnpack", "kernels_optimized", "kernels_quantized"]
    .map { .product(name: $0, package: "executorch") }
let onnxruntimeProducts: [Target.Dependency] = [
    .product(name: "onnxruntime", package: "onnxruntime-swift-package-manager"),
]
let onnxruntimeHeaders: [CSetting] = []
let onnxruntimeImport: [SwiftSetting] = []
let onnxruntimeLibrary: [LinkerSetting] = []
let stubs: [Target] = []
#endif

let package = Package(
    name: "EdgeKitDemo",
    platforms: [.iOS(.v17), .macOS(.v14)],
    products: [
        .library(name: "EdgeKit", targets: ["EdgeKitCore", "EdgeKitExecuTorch"]),
    ],
    dependencies: packages,
    targets: [
        .target(name: "EdgeKitCore"),
        .testTarget(name: "EdgeKitCoreTests", dependencies: ["EdgeKitCore"]),

        // What a program cannot ask ExecuTorch for: its version.
        .target(name: "CPins", cSettings: [.define("EDGEKIT_EXECUTORCH", to: executorchBranch)]),
        .target(name: "EdgeKitExecuTorch", dependencies: ["EdgeKitCore", "CPins"] + executorchProducts),
        .testTarget(name: "EdgeKitExecuTorchTests", dependencies: ["EdgeKitExecuTorch"]),
    ] + stubs
)

if onnxruntime != nil {
    // A library of its own: both runtimes bring their own XNNPACK along, and the two would clash in one binary that is
    // linked with -all_load.
    package.products += [.library(name: "EdgeKitOnnxRuntime", type: .dynamic, targets: ["EdgeKitOnnx"])]
    package.targets += [
        .target(name: "COnnxRuntime", dependencies: onnxruntimeProducts, cSettings: onnxruntimeHeaders),
        .target(
            name: "EdgeKitOnnx", dependencies: ["EdgeKitCore", "COnnxRuntime"], swiftSettings: onnxruntimeImport,
            linkerSettings: onnxruntimeLibrary),
        .testTarget(name: "EdgeKitOnnxTests", dependencies: ["EdgeKitOnnx"], swiftSettings: onnxruntimeImport),
        .executableTarget(
            name: "edgekit-selftest", dependencies: ["EdgeKitCore", "EdgeKitOnnx"], swiftSettings: onnxruntimeImport),
    ]
}
