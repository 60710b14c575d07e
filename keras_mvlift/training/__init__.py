"""How the networks learn: recipes, objectives, the model with its train_step, the stages."""

from keras_mvlift import networks as networks  # Which chooses the Keras.
