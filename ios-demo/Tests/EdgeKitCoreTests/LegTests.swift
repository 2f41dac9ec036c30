import Foundation
import Testing

@testable import EdgeKitCore

/// Three golden inputs of a classifier of two classes, written out as a bundle; what a phone gives is made up by hand.
@Suite("The legs of the self-test") final class LegTests {
    private let folder = FileManager.default.temporaryDirectory.appending(path: "edgekit-\(UUID().uuidString)")
    private let reference: [[Float]] = [[2, 0], [0, 3], [1, 0]]
    private let host: [[Float]] = [[1.9, 0], [0, 3.1], [0.9, 0]]

    deinit { try? FileManager.default.removeItem(at: folder) }

    private func legs(host: [[Float]]? = nil, phone: [[Float]], device: String = "{}", total: String = "{}") throws -> [Leg] {
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        let host = host ?? self.host
        let golden = try reference.indices.map { row in
            """
            {"label": \(row % 2), "inputs": [\(try tensor("x", "\(row).x", [Float(row)]))], "outputs": [
             \(try tensor("logits", "\(row).r", reference[row], #", "artifact": null, "max_abs_error": 1.0"#)),
             \(try tensor("logits", "\(row).h", host[row], #", "artifact": "model.pte", "max_abs_error": 0.5"#))]}
            """
        }
        let digest = String(repeating: "0", count: 64)
        let text = """
            {"schema_version": 1, "model": {"name": "m", "weights_sha256": "\(digest)"}, "target": {"name": "t", "cpu": "arm64"},
             "artifacts": [{"format": "pte", "file": "model.pte", "sha256": "\(digest)", "bytes": 1, "quantization": "int8",
                            "minimum_runtime": "executorch 1.5.1", "operators": [], "delegates": []}],
             "inputs": [{"name": "x", "dtype": "float32", "shape": ["batch", 1], "meaning": "tensor"}],
             "outputs": [{"name": "logits", "dtype": "float32", "shape": ["batch", 2], "meaning": "logits"}],
             "preprocessing": null, "labels": [], "golden": [\(golden.joined(separator: ","))],
             "budget": {"device": \(device), "total": \(total)}}
            """
        try Data(text.utf8).write(to: folder.appending(path: "manifest.json"))
        let bundle = try DroppedBundle.read(folder)
        let outputs = phone.map { [Tensor(name: "logits", shape: [1, 2], floats: $0)] }
        return try GoldenRows(bundle).legs(bundle.manifest, bundle.manifest.artifacts[0], outputs)
    }

    private func tensor(_ name: String, _ file: String, _ floats: [Float], _ more: String = "") throws -> String {
        let bytes = floats.withUnsafeBytes { Array($0) }
        try Data(bytes).write(to: folder.appending(path: file))
        return """
            {"name": "\(name)", "file": "\(file)", "sha256": "\(sha256(bytes))", "dtype": "float32", \
            "shape": [1, \(floats.count)]\(more)}
            """
    }

    @Test("A phone that computes what the host computed passes, with infinite SQNR") func same() throws {
        let legs = try legs(phone: host, device: #"{"min_sqnr_db": 90}"#)
        #expect(legs.map(\.leg) == [.device, .total])
        #expect(legs[0].passed && legs[0].worstShare == 0 && legs[0].metrics.sqnrDB == nil && legs[0].limits[0].result == .kept)
        #expect(legs[1].passed && abs(legs[1].worstShare - 0.1) < 1e-6)
        // Labels 0, 1, 0 are those of the largest logits.
        #expect(legs[1].metrics.accuracy == 1 && legs[1].metrics.referenceAccuracy == 1)
    }

    @Test("One value beyond the tolerance fails the leg, and only that one") func tolerance() throws {
        var phone = host
        phone[1][1] += 0.6
        let legs = try legs(phone: phone)
        #expect(!legs[0].passed && abs(legs[0].worstShare - 1.2) < 1e-5)
        #expect(legs[1].passed)
    }

    @Test("A value that is no number fails, whatever the tolerance", arguments: [Float.nan, .infinity])
    func notFinite(value: Float) throws {
        var phone = host
        phone[2][0] = value
        for leg in try legs(phone: phone) {
            #expect(!leg.passed && leg.worstShare == .infinity && leg.metrics.nonFinite == 1)
        }
    }

    @Test("A limit that this phone alone breaks is broken; one that the host breaks, too, is not judged") func limits() throws {
        let total = #"{"min_top1_agreement": 0.98, "min_mean_iou_ratio": 0.9}"#
        let flipped: [[Float]] = [[1.9, 0], [0, 3.1], [0.2, 0.3]]
        let alone = try legs(phone: flipped, total: total)[1]
        #expect(alone.limits.map(\.result) == [.broken, .notJudged] && !alone.passed && alone.isWithinTolerance)
        let both = try legs(host: flipped, phone: flipped, total: total)[1]
        #expect(both.limits.map(\.result) == [.notJudged, .notJudged] && both.passed)
    }

    @Test("In the leg device nothing excuses a broken limit") func device() throws {
        let leg = try legs(phone: [[1.8, 0], [0, 3], [1, 0]], device: #"{"min_sqnr_db": 60}"#)[0]
        #expect(leg.limits.map(\.result) == [.broken] && !leg.passed && leg.isWithinTolerance)
    }
}
