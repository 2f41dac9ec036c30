import Foundation

/// Turns a recording into a batch of one input, as `sounds.py` and `features.py` in `edgekit/data` describe it step by step.
///
/// - Parameters:
///   - samples: The mean of the channels, from -1 to 1.
///   - rate: Their samples a second.
///   - spec: The model's only input.
public func heard(_ samples: [Float], rate: Int, _ audio: Audio, input spec: TensorSpec) -> Tensor {
    var fitted = Array(resampled(samples, from: rate, to: audio.rate).prefix(audio.length))
    fitted += [Float](repeating: 0, count: audio.length - fitted.count)
    let values = audio.features.map { Spectrogram($0, rate: audio.rate).of(fitted) } ?? fitted
    let sizes = spec.shape.dropFirst().compactMap { if case .size(let size) = $0 { size } else { nil } }
    return Tensor(name: spec.name, shape: [1] + sizes, floats: values)
}

extension Manifest {
    /// The input that a recording becomes; throws a `Failure` where the model takes no sound.
    public func heard(_ samples: [Float], rate: Int) throws -> Tensor {
        let shape = inputs.first.map { $0.shape.dropFirst() } ?? []
        let sizes: [Int] = shape.map { if case .size(let size) = $0 { size } else { 0 } }
        guard let audio, inputs.count == 1, inputs[0].dtype == .float32, Self.product(sizes, atMost: audio.size),
              sizes.reduce(1, *) == audio.size
        else { throw Failure(.noSoundInput, ["model": model.name]) }
        return EdgeKitCore.heard(samples, rate: rate, audio, input: inputs[0])
    }
}

/// Samples at another rate, by a windowed sinc.
func resampled(_ samples: [Float], from: Int, to: Int) -> [Float] {
    if from == to || samples.isEmpty { return samples }
    // torchaudio's own choice: zero crossings on each side, and how far below the Nyquist frequency the filter ends.
    let crossings = 6, rolloff = 0.99
    let common = greatestCommonDivisor(from, to)
    let own = from / common, wanted = to / common
    let base = Double(min(own, wanted)) * rolloff
    let width = Int((Double(crossings * own) / base).rounded(.up))
    var kernels = [[Double]?](repeating: nil, count: wanted)
    return (0..<(samples.count * wanted + own - 1) / own).map { j in
        let start = j / wanted * own, phase = j % wanted
        let kernel = kernels[phase] ?? (0..<2 * width + own).map { place in
            let t = (Double(place - width) / Double(own) - Double(phase) / Double(wanted)) * base
            if abs(t) >= Double(crossings) { return 0 }
            let fade = cos(t * .pi / Double(crossings) / 2)
            return sinc(t) * (fade * fade) * (base / Double(own))
        }
        kernels[phase] = kernel
        // What is further away than the width counts nothing.
        let near = phase * own / wanted
        var sum = 0.0
        for place in max(0, near - 1)...min(2 * width + own - 1, near + 2 * width + 1) {
            let at = start - width + place
            if samples.indices.contains(at) { sum += kernel[place] * Double(samples[at]) }
        }
        return Float(sum)
    }
}

private func sinc(_ t: Double) -> Double { t == 0 ? 1 : sin(.pi * t) / (.pi * t) }

private func greatestCommonDivisor(_ a: Int, _ b: Int) -> Int { b == 0 ? a : greatestCommonDivisor(b, a % b) }
