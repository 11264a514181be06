"""Two replicas, in a process of its own: TensorFlow's devices are fixed once it has run an op."""

from __future__ import annotations

import subprocess
import sys

SCRIPT = """
import keras, numpy as np, tensorflow as tf
cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
import engine

rng = np.random.default_rng(0)
x, y = rng.normal(size=(64, 6)).astype("float32"), rng.integers(0, 3, 64)

def trained(scope, **pruning):
    with scope:
        keras.utils.set_random_seed(1)
        inputs = keras.Input((6,))
        hidden = keras.layers.Dense(10, activation="relu", name="a")(inputs)
        model = keras.Model(inputs, keras.layers.Dense(3, name="b")(hidden))
        optimizer = keras.optimizers.SGD(0.1, momentum=0.9, use_ema=True)
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        model.compile(optimizer, loss, jit_compile=False)
    callback = engine.Pruning(sparsity=0.8, end=4, frequency=2, **pruning)
    model.fit(x, y, batch_size=16, epochs=2, verbose=0, shuffle=False, callbacks=[callback])
    return model, callback.masks.arrays()

for pruning in ({"criterion": "movement"}, {"schedule": "drop_grow"}):
    two, masks = trained(tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"]).scope(), **pruning)
    one, wanted = trained(tf.distribute.get_strategy().scope(), **pruning)
    for key, mask in wanted.items():
        np.testing.assert_array_equal(masks[key], mask)
    for replica in two.layers[1].kernel.value.values:
        assert (replica.numpy()[~masks["a/kernel"]] == 0).all()
    for a, b in zip(two.get_weights(), one.get_weights()):
        np.testing.assert_allclose(a, b, atol=1e-5)
print("same")
"""


def test_two_replicas_prune_as_one_device_does() -> None:
    found = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, timeout=250, check=False)
    assert found.stdout.strip().endswith("same"), found.stderr[-2000:]
