"""The settings of a trainer as types: a type checker reports a misspelt one.

Generated from ``arkor_dev/contract/settings/`` by ``scripts/generate.py``. Not edited by hand. None removes a
setting of ``arkor.toml`` for the run.
"""

from __future__ import annotations

from typing import Literal, TypedDict


class LoraSettings(TypedDict, total=False):
    """The table ``lora``."""

    r: int | None
    """Rank of the LoRA matrices. A higher rank learns more and needs more memory."""
    alpha: float | None
    """LoRA scaling factor; commonly twice the rank."""
    lora_alpha: float | None
    """The same as alpha."""
    target_modules: str | list[str] | None
    """Layers that get LoRA matrices, by name suffix; "all-linear": all of the language model."""
    layers_to_transform: int | list[int] | None
    """Indices of the transformer layers that get an adapter, from 0."""
    modules_to_save: str | list[str] | None
    """Modules trained in full and saved with the adapter, such as a new head."""
    dropout: float | None
    """Dropout on the adapter's input, against overfitting."""
    lora_dropout: float | None
    """The same as dropout."""
    use_rslora: bool | None
    """rsLoRA: scale by alpha/√r instead of alpha/r, which helps high ranks."""
    use_dora: bool | None
    """Learn each weight's magnitude and direction separately. Better at low ranks, slower."""
    init_lora_weights: Literal["default", "gaussian", "orthogonal", "pissa", "olora"] | None
    """Start at zero (default, gaussian, orthogonal) or by factorizing the weights (pissa, olora)."""


class LrSchedulerKwargsSettings(TypedDict, total=False):
    """The table ``lr_scheduler_kwargs``."""

    num_cycles: int | None
    """Number of cosine_with_restarts cycles; 1 is plain cosine."""
    power: float | None
    """Exponent of the polynomial schedule: 1 decays linearly, 2 decays early, 0.5 late."""
    num_decay_steps: int | None
    """Length of the final decay of wsd (warmup, stable, decay)."""


class ChatTemplateKwargsSettings(TypedDict, total=False):
    """The table ``chat_template_kwargs``."""

    enable_thinking: bool | None
    """The template's enable_thinking, as of Qwen3: false learns and answers without thoughts."""


class TrainingSettings(TypedDict, total=False):
    """The settings of a trainer."""

    lora: LoraSettings
    lr_scheduler_kwargs: LrSchedulerKwargsSettings
    chat_template_kwargs: ChatTemplateKwargsSettings
    steps: int | None
    """Number of optimizer steps. Set steps or epochs, not both."""
    max_steps: int | None
    """The same as steps."""
    epochs: float | None
    """Number of passes through the training set. Set steps or epochs, not both."""
    num_train_epochs: float | None
    """The same as epochs."""
    batch_size: int | None
    """Examples per batch. A smaller batch needs less memory."""
    per_device_train_batch_size: int | None
    """The same as batch_size."""
    gradient_accumulation_steps: int | None
    """Accumulates gradients over this many batches before each update."""
    learning_rate: float | None
    """Step size. Too high: the loss spikes; too low: it barely falls."""
    scheduler: (
        Literal[
            "linear",
            "cosine",
            "constant",
            "constant_with_warmup",
            "cosine_with_restarts",
            "polynomial",
            "wsd",
        ]
        | None
    )
    """How the learning rate decays."""
    lr_scheduler_type: (
        Literal[
            "linear",
            "cosine",
            "constant",
            "constant_with_warmup",
            "cosine_with_restarts",
            "polynomial",
            "wsd",
        ]
        | None
    )
    """The same as scheduler."""
    warmup_steps: int | None
    """Steps to ramp up to the peak learning rate."""
    max_length: int | None
    """Maximum tokens per example. Longer examples are truncated."""
    max_seq_length: int | None
    """The same as max_length."""
    eval_split: float | None
    """Fraction held out for evaluation."""
    eval_every: int | None
    """Evaluate on the held-out rows every N steps; 0 disables evaluation."""
    eval_steps: int | None
    """The same as eval_every."""
    save_every: int | None
    """Save a checkpoint every N steps, to try in the playground; 0 disables checkpoints."""
    save_steps: int | None
    """The same as save_every."""
    warmup_ratio: float | None
    """Fraction of the steps used for warmup. Set this or warmup_steps."""
    optimizer: Literal["adamw", "adamw_torch", "adamw_torch_fused", "adafactor", "sgd", "lion"] | None
    """Algorithm that updates the weights."""
    optim: Literal["adamw", "adamw_torch", "adamw_torch_fused", "adafactor", "sgd", "lion"] | None
    """The same as optimizer."""
    weight_decay: float | None
    """Decoupled weight decay, as in AdamW."""
    adam_beta1: float | None
    """Decay rate of the first moment (AdamW, Lion)."""
    adam_beta2: float | None
    """Decay rate of the second moment (AdamW)."""
    adam_epsilon: float | None
    """Added to AdamW's denominator for numerical stability."""
    max_grad_norm: float | None
    """Clips the gradient to this L2 norm; 0 disables clipping."""
    full_fine_tuning: bool | None
    """Train all weights, without an adapter. For small models: it needs many times the memory."""
    method: str | None
    """How the model learns from the rows: sft is supervised fine-tuning."""
    train_on_responses_only: bool | None
    """Compute the loss on the assistant's answers only, not on the prompts."""
    assistant_only_loss: bool | None
    """The same as train_on_responses_only."""
    completion_only_loss: bool | None
    """Compute the loss on the last answer of each chat only."""
    thought_weight: float | None
    """Weight of each token of a thought in the loss; 0: thoughts are not learned."""
    answer_weight: float | None
    """Weight of each token after an answer's thoughts in the loss; 0: only thoughts are learned."""
    train_on_empty_thoughts: bool | None
    """Learn empty thoughts, which teach not to think. If false, the switch enable_thinking is kept."""
    packing: bool | None
    """Pack examples into sequences of up to max_length; attention stays within each example."""
    group_by_length: bool | None
    """Batch examples of similar length. No gain on a CPU, which pads nothing."""
    label_smoothing_factor: float | None
    """Fraction of the probability spread over all tokens, against overconfidence."""
    skip_bad_rows: bool | None
    """Skip rows that can't be read, and report them. Otherwise the first one ends the job."""
    beta: float | None
    """How strongly the answers are told apart. For dpo and kto: higher stays closer to the start."""
    distillation_alpha: float | None
    """The same as beta."""
    loss_type: (
        Literal["sigmoid", "hinge", "ipo", "apo_zero", "simpo", "dapo", "grpo", "bnpo", "dr_grpo"] | None
    )
    """sigmoid (DPO), hinge, ipo, apo_zero (dpo only), simpo (cpo only: by mean log-probability)."""
    rpo_alpha: float | None
    """Adds this many times the cross entropy of the chosen answer, so that it stays likely."""
    cpo_alpha: float | None
    """Adds this many times the cross entropy of the chosen answer; 0 with simpo is plain SimPO."""
    simpo_gamma: float | None
    """How far apart simpo wants the rewards of the two answers."""
    desirable_weight: float | None
    """Multiplies the loss of good answers. Raise it if there are fewer good than bad ones."""
    undesirable_weight: float | None
    """Multiplies the loss of bad answers. Raise it if there are fewer bad than good ones."""
    reward_funcs: str | list[str] | None
    """Names of the [[evaluation]] tables whose metrics reward an answer."""
    reward_weights: float | list[float] | None
    """How much each reward counts in the sum, in the order of the rewards; negative for a penalty."""
    environment: str | None
    """A class of the project, as module:class, with the tools that the model acts with before it answers; it
    may reward the episode."""
    max_turns: int | None
    """Most answers of the model in an episode of an environment; an episode ends earlier with an answer that
    calls no tool."""
    max_episode_tokens: int | None
    """Most tokens of an episode after its prompt: answers and what the tools say."""
    num_generations: int | None
    """Answers sampled for each prompt; an answer is judged by the others of its prompt."""
    max_completion_length: int | None
    """Most tokens of a sampled answer; a longer one is cut there and scored as it is."""
    temperature: float | None
    """Temperature of the sampled answers: higher tries more."""
    scale_rewards: Literal["group", "batch", "none"] | None
    """Divide an answer's advantage by the spread in its group, in the whole step (batch), or not."""
    num_iterations: int | None
    """How many times the weights are updated from the same answers."""
    epsilon: float | None
    """How far a token's probability may move before it is clipped, with several updates per step."""
    epsilon_high: float | None
    """How far a token's probability may rise before it is clipped; DAPO uses 0.28, so that rare tokens can
    become likely."""
    importance_sampling_level: Literal["token", "sequence"] | None
    """Clip the ratio of each token's probability to that when it was sampled, or of the whole answer
    (sequence, which is GSPO with loss_type grpo)."""
    mask_truncated_completions: bool | None
    """Learn nothing from answers that were cut at max_completion_length; their rewards still count in the
    group's mean."""
    soft_punish_cache: int | None
    """Subtract up to 1 from the reward, growing over this many last tokens of max_completion_length."""
    max_resample_times: int | None
    """Replace prompts whose answers all got the same reward by other prompts, up to this many times per step;
    0 for never."""
    teacher: str | None
    """The model to learn from: a name or a folder, with the same vocabulary, or the id of a job on the same
    base; "base" is this model without the adapter."""
    lmbda: float | None
    """This share of each step's rows is learned with an answer that the model samples itself."""
    seq_kd: bool | None
    """The other rows are learned with an answer that the teacher samples, instead of their own."""
    distillation_topk: int | None
    """At each position, only this many of the model's likeliest tokens are compared with the teacher's; 0 for
    the whole vocabulary."""
    distillation_add_tail: bool | None
    """The other tokens together count as one more, instead of being left out."""
    teacher_model_kind: Literal["base", "ema", "live"] | None
    """Those at the start (base), their moving average (ema), or the current ones (live)."""
    teacher_update_rate: float | None
    """How far the moving average goes towards the current weights at each update."""
    teacher_sync_steps: int | None
    """The moving average is updated after this many steps."""
    class_weight: str | list[str] | None
    """balanced multiplies the loss of each row by rows / (classes * rows of its class), so that rare labels
    count as much as frequent ones; "label=weight" by a number of its own, and labels that are not listed by
    1."""
    loss: Literal["MultipleNegativesRankingLoss", "CoSENTLoss", "CosineSimilarityLoss"] | None
    """MultipleNegativesRankingLoss learns from pairs and triplets, with the other rows of a batch as
    negatives; CoSENTLoss and CosineSimilarityLoss learn from pairs with scores."""
    scale: float | None
    """Multiplies the cosine similarities in MultipleNegativesRankingLoss and CoSENTLoss: the inverse of the
    temperature."""
    matryoshka_dims: int | list[int] | None
    """Sizes to which an embedding can later be shortened: the loss is also computed on its first numbers, so
    many each time (MatryoshkaLoss)."""
    pooling_mode: Literal["mean", "lasttoken"] | None
    """A text's embedding is the mean of its tokens' last hidden states, or that of its last token."""
    query_prompt: str | None
    """Text before every anchor (or sentence1), in training and whenever a query is embedded."""
    document_prompt: str | None
    """Text before every positive and negative (or sentence2), and whenever a document is embedded."""
    corpus: str | None
    """More documents that held-out anchors search in the verdict, besides the held-out ones. Nothing is
    learned from them."""
    log_every: int | None
    """Log the loss every N steps."""
    logging_steps: int | None
    """The same as log_every."""
    samples: str | list[str] | None
    """Prompts that the base model and each checkpoint answer during the run; "off" for none."""
    early_stopping_patience: int | None
    """Stop after this many evaluations without improvement on half of the held-out rows, and keep the best
    adapter; the other half judges it."""
    early_stopping_threshold: float | None
    """Minimum improvement of that loss that counts for early stopping."""
    stop_when: Literal["last_step", "settled"] | None
    """End the run after its last step, or at the first evaluation that settles the verdict: better, or
    hopeless from half of the run on. The adapter may still improve then."""
    verdict_margin: float | None
    """The smallest difference in mean loss per token that counts as better or worse in the verdict."""
    replay: float | None
    """Against forgetting: this share of each step's rows are general prompts that the base model answered
    itself."""
    replay_dataset: str | None
    """General prompts for replay and base_kl in place of the built-in ones; the base model answers those
    without an answer."""
    base_kl: float | None
    """Against forgetting: this times the adapter's divergence from its base on general prompts is added to
    the loss. The rows are those of replay, or a fifth of each step's without it."""
    max_harm: float | None
    """Against forgetting: choose among the run's checkpoints and turn the adapter down, until its loss on
    general questions is less than this above the base's, with 95 % confidence."""
    save_total_limit: int | None
    """Keep the newest N checkpoints and the best one; delete the others."""
    on_non_finite: Literal["stop", "lower_rate"] | None
    """Stop, or roll back once to the last evaluation or checkpoint and halve the learning rate."""
    load_in_4bit: bool | None
    """Load the base model in 4-bit (NF4), for about a quarter of the memory."""
    number_format: Literal["auto", "float32", "bfloat16", "float16"] | None
    """Data type of the computation; adapter weights are always float32. auto means the default."""
    bf16: bool | None
    """Compute in bfloat16, skipping the measurement; false disables it."""
    fp16: bool | None
    """Compute in float16 with loss scaling, for GPUs without bfloat16."""
    gradient_checkpointing: bool | None
    """Recompute activations in the backward pass: much less memory, about a third more time."""
    activation_checkpointing: bool | None
    """The same as gradient_checkpointing."""
    offload: Literal["auto", "none", "layers"] | None
    """Read frozen layers from their files as they are used: less memory, slower. auto: if needed."""
    activation_offloading: bool | None
    """Keep activations in the computer's memory until the backward pass: less GPU memory, slower."""
    seed: int | None
    """Random seed. The same seed on the same processor gives the same adapter, on a GPU almost."""
    data_seed: int | None
    """Separate random seed for the order of the rows."""
    split_seed: int | None
    """Separate random seed for which rows are held out, so that runs of different seeds share them."""
    neftune_noise_alpha: float | None
    """Adds noise to the embeddings during training (NEFTune), against overfitting; 5 is common."""
    report_to: (
        Literal["tensorboard", "trackio", "wandb", "mlflow"]
        | list[Literal["tensorboard", "trackio", "wandb", "mlflow"]]
        | None
    )
    """Where else to log metrics: tensorboard, trackio, wandb, mlflow."""
    pause_on_battery: bool | None
    """Pause while the machine runs on battery; resume on mains power."""
    cpus: int | None
    """CPU cores to reserve on one cluster node, and the number of threads."""
    gpus: int | None
    """GPUs over which one process spreads the layers of a model. On a cluster they are reserved."""
    memory: float | None
    """Memory to reserve on one cluster node for this job."""
    workers: int | None
    """Worker processes that share each batch: one per GPU here, with these resources on a cluster."""
    gpu_types: str | list[str] | None
    """Types of GPU to run on, by the backend's names: the preferred one first, then its substitutes."""
