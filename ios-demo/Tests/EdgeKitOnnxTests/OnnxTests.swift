import EdgeKitCore
import Foundation
import Testing

@testable import EdgeKitOnnx

/// A bundle that `edgekit build --target ios-arm64` wrote; scripts/test-ios makes it.
private let built = ProcessInfo.processInfo.environment["EDGEKIT_BUNDLE"].map { URL(filePath: $0) }

@Suite("ONNX Runtime on a real bundle", .enabled(if: built != nil, "EDGEKIT_BUNDLE names no bundle"), .serialized)
final class OnnxTests {
    private let folder: URL
    private let results: URL

    init() throws {
        let place = FileManager.default.temporaryDirectory.appending(path: "edgekit-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: place, withIntermediateDirectories: true)
        folder = place.appending(path: "bundle")
        results = place.appending(path: "selftest")
        try FileManager.default.copyItem(at: #require(built), to: folder)
    }

    deinit { try? FileManager.default.removeItem(at: folder.deletingLastPathComponent()) }

    private func outcome(
        _ open: (@Sendable () throws -> DroppedBundle)? = nil, runtimes: [any Runtime] = [OnnxRuntime()]
    ) async -> Outcome {
        var timing = Timing()
        timing.warmUp = 2
        timing.runs = 5
        let folder = folder
        let test = SelfTest(runtimes, device: Device(name: "Test", soc: "", os: "Linux"), results: results, timing: timing)
        return await test.run(open ?? { try DroppedBundle.read(folder) })
    }

    private func written() throws -> [String: Any] {
        let data = try Data(contentsOf: results.appending(path: "selftest.json"))
        let found = try JSONSerialization.jsonObject(with: data)
        return try #require(found as? [String: Any])
    }

    /// Changes the manifest as text; digests in it are the caller's to keep right.
    private func rewrite(_ change: (String) -> String) throws {
        let file = folder.appending(path: "manifest.json")
        try Data(change(String(contentsOf: file, encoding: .utf8)).utf8).write(to: file)
    }

    @Test("The self-test passes, and says so in its files") func passes() async throws {
        let outcome = await outcome()
        #expect(outcome.failure == nil)
        let onnx = try #require(outcome.artifacts.first { $0.artifact.format == .onnx })
        #expect(onnx.status == .passed, "\(onnx.reason ?? "")")
        #expect(onnx.legs.map(\.leg) == [.device, .total])
        #expect(onnx.legs.allSatisfy { $0.isWithinTolerance && $0.metrics.nonFinite == 0 && $0.metrics.accuracy != nil })
        #expect(onnx.latency?.sorted.count == 5)
        // The host ran the same exact kernels of the same version, of more samples at once: what differs are values
        // beside the middle of two steps, which float sums in another order put to its other side.
        #expect(onnx.legs[0].metrics.sqnrDB ?? .infinity > 40)
        let pte = try #require(outcome.artifacts.first { $0.artifact.format == .pte })
        #expect(pte.status == .skipped && pte.failure?.code == .noRuntime)
        #expect(outcome.passed)
        let verdict = try written()["verdict"] as? String
        #expect(verdict == "passed")
        #expect(FileManager.default.fileExists(atPath: results.appending(path: "model.onnx.npz").path))
    }

    @Test("One byte changed: the bundle is refused, and nothing is loaded", arguments: ["model.onnx", "golden/0.logits.reference.bin"])
    func damaged(file: String) async throws {
        let place = folder.appending(path: file)
        var bytes = try Data(contentsOf: place)
        bytes[bytes.count / 2] ^= 1
        try bytes.write(to: place)
        let outcome = await outcome()
        #expect(outcome.failure?.code == .wrongSHA256)
        #expect(outcome.artifacts.isEmpty && !outcome.passed)
        let text = try written()
        #expect(text["failure"] as? String == "wrong_sha256" && text["verdict"] as? String == "failed")
    }

    @Test("A file that is missing is named") func missing() async throws {
        try FileManager.default.removeItem(at: folder.appending(path: "model.onnx"))
        let failure = await outcome().failure
        #expect(failure?.code == .missingFile && failure?.says.contains("model.onnx") == true)
    }

    @Test("Golden outputs of another program: every digest is right, and the self-test fails",
          arguments: ["golden/0.logits.model.onnx.bin", "golden/0.logits.reference.bin"])
    func perturbed(file: String) async throws {
        let place = folder.appending(path: file)
        let before = [UInt8](try Data(contentsOf: place))
        let after = before.withUnsafeBytes { raw in
            (0..<before.count / 4).flatMap { index in
                let value = Float(bitPattern: raw.loadUnaligned(fromByteOffset: 4 * index, as: UInt32.self))
                return withUnsafeBytes(of: value + 3) { Array($0) }
            }
        }
        try Data(after).write(to: place)
        try rewrite { $0.replacingOccurrences(of: sha256(before), with: sha256(after)) }
        let outcome = await outcome()
        #expect(outcome.failure == nil && !outcome.passed)
        let onnx = try #require(outcome.artifacts.first { $0.artifact.format == .onnx })
        #expect(onnx.status == .failed && onnx.legs.contains { !$0.isWithinTolerance })
        #expect(onnx.reason?.contains("further from") == true)
    }

    @Test("A file that is no .onnx does not load, in words") func noModel() async throws {
        let place = folder.appending(path: "model.onnx")
        let before = [UInt8](try Data(contentsOf: place)), after = Array(before.prefix(before.count / 2))
        try Data(after).write(to: place)
        try rewrite { $0.replacingOccurrences(of: sha256(before), with: sha256(after)) }
        let outcome = await outcome()
        let onnx = try #require(outcome.artifacts.first { $0.artifact.format == .onnx })
        #expect(onnx.status == .failed && onnx.failure?.code == .loadFailed)
        #expect(onnx.failure?.action.contains("onnxruntime") == true)
    }

    @Test("A runtime that is older than the artifact asks for is refused before it loads") func tooOld() async throws {
        try rewrite { text in
            text.replacing(/"onnxruntime [0-9.]+"/, with: "\"onnxruntime 99.0\"")
        }
        let outcome = await outcome()
        let onnx = try #require(outcome.artifacts.first { $0.artifact.format == .onnx })
        #expect(onnx.failure?.code == .runtimeTooOld && onnx.failure?.says.contains("99.0") == true)
    }

    @Test("An output of another shape than the manifest's is refused") func wrongOutput() async throws {
        try rewrite { $0.replacing(/"outputs": \[\s*\{\s*"dtype": "float32",\s*"meaning": "logits",\s*"name": "logits",\s*"shape": \[\s*"batch",\s*10/) {
            $0.output.replacing("10", with: "11")
        } }
        let outcome = await outcome()
        let onnx = try #require(outcome.artifacts.first { $0.artifact.format == .onnx })
        #expect(onnx.failure?.code == .wrongOutput)
        #expect(onnx.failure?.says.contains("float32 1x10") == true && onnx.failure?.says.contains("batchx11") == true)
    }

    @Test("An app without a runtime for any artifact fails, and says why") func nothingToRun() async throws {
        let outcome = await outcome(runtimes: [])
        #expect(outcome.failure?.code == .nothingToRun && !outcome.passed)
        #expect(outcome.failure?.says.contains("model.onnx cannot be run") == true)
    }

    @Test("What edgekit drop lays out is found; a manifest that was changed behind it is not") func dropped() async throws {
        let resources = folder.deletingLastPathComponent().appending(path: "resources")
        let digest = sha256([UInt8](try Data(contentsOf: folder.appending(path: "manifest.json"))))
        let name = String(digest.prefix(16))
        try FileManager.default.createDirectory(at: resources, withIntermediateDirectories: true)
        try FileManager.default.moveItem(at: folder, to: resources.appending(path: name))
        let pointer = #"{"version": 1, "folder": "\#(name)", "manifest_sha256": "\#(digest)"}"#
        try Data(pointer.utf8).write(to: resources.appending(path: "bundle.json"))
        let whole = await outcome { try DroppedBundle.dropped(in: resources) }
        #expect(whole.passed)

        let manifest = resources.appending(path: "\(name)/manifest.json")
        try Data(String(contentsOf: manifest, encoding: .utf8).replacing("\"background\": 0", with: "\"background\": 1").utf8)
            .write(to: manifest)
        let changed = await outcome { try DroppedBundle.dropped(in: resources) }
        #expect(changed.failure?.code == .wrongSHA256)
    }

    @Test("Golden inputs are answered with the label that they have") func answers() async throws {
        let bundle = try DroppedBundle.read(folder)
        let artifact = try #require(bundle.manifest.artifacts.first { $0.format == .onnx })
        let predictor = try await Predictor(bundle, artifact, [OnnxRuntime()])
        for row in bundle.manifest.golden {
            let answer = try await predictor.answer(bundle.inputs(row))
            let label = try #require(row.label)
            #expect(answer.classes.first?.label == bundle.manifest.labels[Int(label)])
            #expect(abs(answer.classes.reduce(0) { $0 + $1.probability } - 1) < 1e-9)
        }
    }

    @Test("A picture is preprocessed as the manifest says, and answered") func picture() async throws {
        let bundle = try DroppedBundle.read(folder)
        let artifact = try #require(bundle.manifest.artifacts.first { $0.format == .onnx })
        let predictor = try await Predictor(bundle, artifact, [OnnxRuntime()])
        let blank = try #require(Picture(width: 50, height: 40, channels: 4, pixels: [UInt8](repeating: 0, count: 8000)))
        let answer = try await predictor.answer(blank)
        #expect(answer.classes.count == bundle.manifest.labels.count)
    }
}
