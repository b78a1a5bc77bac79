"""How the numbers of a report are meant, with the sources of its methods."""

READING = """
<dl class="reading">
<dt>Score</dt><dd>From 0 to 1, higher is better: the share of right answers, or exp(−loss) for language. The learning rate is chosen on one stream of data and the score
reported on another. A score is the mean over seeds.</dd>
<dt>Intervals</dt><dd>All are of 95 %, but for steps until a task was solved, behind which the least and the most of the seeds stand. Those of scores hold one at a time, and
do not say whether two variants can be told apart, which groups and letters do; those of effects hold all together. Where nothing measures the spread there is no interval, and none is made up.</dd>
<dt>Groups</dt><dd>The first group is the best variant with all that cannot be told from it; the next begins with the best of the rest. Groups are no order of merit inside.</dd>
<dt>Effects</dt><dd>The main effect of an option is how far the mean score of its variants lies from the mean of all, the other parts being equal; an interaction is what two options
do beyond the sum of their effects. Shares are of the variance of scores between variants, without what seeds give, averaged over the orders in which parts may be counted (Lindeman, Merenda
and Gold, 1980): where options do not come in all combinations, a part has a share in what those do that it comes with, and its p-value says what it does itself. p-values are of F tests
against the spread of seeds, a claim about these variants; “beyond the variants swept” is the same test against all that main effects leave over. Both are adjusted for the number of tests
(Holm, A simple sequentially rejective multiple test procedure, 1979).</dd>
<dt>Agreement</dt><dd>Kendall’s τ-b, which allows for ties (Kendall, The treatment of ties in ranking problems, 1945).</dd>
<dt>Pareto front</dt><dd>What no other variant beats in both score and cost. It is a statement about these scores, not about differences that can be told: compare the intervals.</dd>
<dt>Lipschitz bounds</dt><dd>The upper bound is proved and rounded up, the lower one attained and rounded down; both hold for the weights before training, on the domain and in the norm
named with them. “Not Lipschitz” means that no bound exists; “unknown” means that none was proved, which is not the same.</dd>
<dt>FLOPs</dt><dd>Every operation counted at the points of its axes for one forward pass of one mixing layer; a contraction of several tensors counts as one sum over all axes.</dd>
<dt>Checks</dt><dd>Before anything is trained, a variant must compile, give finite numbers and gradients, and, where the task asks for it, read no later token; this is tested by changing
later tokens, never trusted.</dd>
<dt>Same diagrams</dt><dd>Members that are the same diagram are trained once and named under that one, with the reason.</dd>
</dl>
"""
