"""What a predicted pose is judged by: errors in millimeters, shares of correct joints."""

from keras_mvlift import networks as networks  # Which chooses the Keras.
