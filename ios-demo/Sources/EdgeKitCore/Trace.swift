import Foundation

/// The device that runs, in its maker's words.
public struct Device: Sendable {
    public let name: String
    /// The chip; empty if it is not known.
    public let soc: String
    public let os: String
    /// "arm64" or "x86_64".
    public let cpu: String

    public init(name: String, soc: String, os: String, cpu: String = Device.processor) {
        self.name = name
        self.soc = soc
        self.os = os
        self.cpu = cpu
    }

    /// Name and chip together.
    public var full: String { soc.isEmpty ? name : "\(name) (\(soc))" }

    /// The processor family that this was compiled for.
    public static var processor: String {
        #if arch(x86_64)
        "x86_64"
        #else
        "arm64"
        #endif
    }
}

/// What this device computed, as the SDK reads it (`edgekit/data/trace.py`): numpy's `.npz`, no pickles.
struct Trace {
    let inputs: [[Tensor]]
    let outputs: [[Tensor]]
    let labels: [Int64]?
    let origin: JSON

    /// The content of the file.
    func npz() throws -> Data {
        var zip = Zip()
        for index in inputs[0].indices { add("input", inputs.map { $0[index] }, to: &zip) }
        for index in outputs[0].indices { add("output", outputs.map { $0[index] }, to: &zip) }
        if let labels {
            add("labels", "<i8", [labels.count], labels.flatMap { label in withUnsafeBytes(of: label.littleEndian, Array.init) }, to: &zip)
        }
        let text = [UInt8](try origin.text())
        add("origin", "|u1", [text.count], text, to: &zip)
        return Data(zip.finished())
    }

    private func add(_ kind: String, _ samples: [Tensor], to zip: inout Zip) {
        // A sample is a batch of one: stacked, the first axis counts the samples.
        let shape = [samples.reduce(0) { $0 + $1.shape[0] }] + samples[0].shape.dropFirst()
        add("\(kind).\(samples[0].name)", samples[0].dtype.numpy, shape, samples.flatMap(\.bytes), to: &zip)
    }

    /// One `.npy` of format version 1.0: magic, length of the header, header padded to 64 bytes, values.
    private func add(_ name: String, _ type: String, _ shape: [Int], _ bytes: [UInt8], to zip: inout Zip) {
        let sizes = shape.map(String.init).joined(separator: ", ") + (shape.count == 1 ? "," : "")
        var header = "{'descr': '\(type)', 'fortran_order': False, 'shape': (\(sizes)), }"
        header += String(repeating: " ", count: 63 - (10 + header.utf8.count) % 64) + "\n"
        let length = UInt16(header.utf8.count)
        var content: [UInt8] = [0x93]
        content += Array("NUMPY".utf8)
        content += [1, 0, UInt8(length & 0xff), UInt8(length >> 8)]
        content += Array(header.utf8)
        content += bytes
        zip.add("\(name).npy", content)
    }

    /// Where the outputs were computed: the fields of the SDK's `Origin`.
    static func origin(
        _ manifest: Manifest, _ artifact: Artifact, _ device: Device, _ runner: any ModelRunner, library: String, version: String?
    ) -> JSON {
        .object([
            "version": 1,
            "program": "device",
            "device": "cpu",
            "device_name": .string(device.full),
            "dtype": .string(artifact.quantization == "float" ? "float32" : artifact.quantization),
            "tf32": false,
            "kernels": .string(runner.kernels),
            "kernels_of": .string(runner.arithmetic),
            "versions": .object([library: .string(version ?? "unknown"), "os": .string(device.os)]),
            "model": .string(manifest.model.weightsSHA256),
            "samples": "",
            "artifact": .string(artifact.file),
            "artifact_sha256": .string(artifact.sha256),
        ])
    }
}
