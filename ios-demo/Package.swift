// swift-tools-version: 6.0
import PackageDescription

// The runtimes' versions. `edgekit drop` writes them from the target profile, the one place where EdgeKit keeps them.
let executorchBranch = "swiftpm-1.5.1"
let onnxruntimeVersion = "1.30.0"

let package = Package(
    name: "EdgeKitDemo",
    platforms: [.iOS(.v17), .macOS(.v14)],
    products: [.library(name: "EdgeKitCore", targets: ["EdgeKitCore"])],
    targets: [
        .target(name: "EdgeKitCore"),
        .testTarget(name: "EdgeKitCoreTests", dependencies: ["EdgeKitCore"]),
    ]
)
